"""The names of the stages that others build on, and what each is made from."""

DATA = "01_preprocess"
VQVAE = "02_train_vqvae"
OTFM = "03_train_otfm"
DDPM = "04_train_ddpm"
GENERATE = "05_generate"
ALIGNMENT = "08_alignment"
COMPLETION = "09_completion"
FEW_STEPS = "13_few_steps"

# At least; a stage records all that it was made from.
NEEDS = {
    DATA: (),
    VQVAE: (DATA,),
    OTFM: (VQVAE,),
    DDPM: (VQVAE,),
    GENERATE: (OTFM, DDPM),
    ALIGNMENT: (DATA,),
    COMPLETION: (DATA,),
    FEW_STEPS: (OTFM, DDPM),  # DDPM for the comparison of samplers
}
