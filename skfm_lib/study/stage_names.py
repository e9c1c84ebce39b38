"""The names of the stages that others build on, and what each is made from."""

DATA = "01_preprocess"
VQVAE = "02_train_vqvae"
OTFM = "03_train_otfm"
DDPM = "04_train_ddpm"
DDPM_V = "04_train_ddpm_v"
GENERATE = "05_generate"
METRICS = "06_metrics"
FAILURES = "07_failures"
ALIGNMENT = "08_alignment"
COMPLETION = "09_completion"
FEW_STEPS = "13_train_shortcut"
OURS = "17_train_ours"

# Of several stages of one chapter, those that are not its default's: what to give it.
PARAMETERS = {DDPM_V: {"prediction": "v"}}

# At least; a stage records all that it was made from.
NEEDS = {
    DATA: (),
    VQVAE: (DATA,),
    OTFM: (VQVAE,),
    DDPM: (VQVAE,),
    DDPM_V: (VQVAE,),
    OURS: (VQVAE,),
    GENERATE: (OTFM, DDPM, OURS),
    METRICS: (GENERATE,),
    FAILURES: (GENERATE,),
    ALIGNMENT: (DATA,),
    COMPLETION: (DATA,),
    FEW_STEPS: (OTFM, DDPM, OURS, FAILURES),  # all but ours for comparisons
}
