"""The paper's own numbers, to stand beside this study's."""

# Table 1: quality of generation on 726 real and 726 generated skulls.
TABLE_1 = {
    "ref": {
        "FID ↓": 0.0012, "MS-SSIM ↓": 0.59,
        "IP ↑": 0.93, "IR ↑": 0.92, "PP ↑": 0.80, "PR ↑": 0.76,
    },
    "DDPM": {
        "FID ↓": 0.073, "MS-SSIM ↓": 0.59,
        "IP ↑": 0.55, "IR ↑": 0.73, "PP ↑": 0.27, "PR ↑": 0.76,
    },
    "OTFM": {
        "FID ↓": 0.0024, "MS-SSIM ↓": 0.63,
        "IP ↑": 0.96, "IR ↑": 0.82, "PP ↑": 0.87, "PR ↑": 0.58,
    },
}  # fmt: skip

# Tables 2–4: alignment, mean distance of a skull's points, mm (§4.3).
TABLE_2 = {
    "DDPM": {
        "100% synth": 8.11, "100% real + 25% synth": 6.93, "50% real + 25% synth": 9.73,
    },
    "OTFM": {
        "100% synth": 7.31, "100% real + 25% synth": 6.48, "50% real + 25% synth": 9.17,
    },
}  # fmt: skip
TABLE_3 = {
    "real only": {"100% real": 6.95, "50% real": 30.8},
    "+25% OTFM": {"100% real": 6.48, "50% real": 9.17},
}
TABLE_4 = {
    "100% real": {
        "overall": 6.95, "QS 2": 6.47, "QS 3": 4.85, "QS 4": 6.53, "QS 5": 7.08,
        "QS 6": 21.6,
    },
    "OTFM-s": {
        "overall": 5.87, "QS 2": 5.34, "QS 3": 4.72, "QS 4": 5.41, "QS 5": 5.22,
        "QS 6": 17.87,
    },
    "OTFM-b": {
        "overall": 5.67, "QS 2": 5.54, "QS 3": 4.60, "QS 4": 5.71, "QS 5": 5.28,
        "QS 6": 8.12,
    },
}  # fmt: skip

# Tables 5 and 6: completion in the defect, mm: Chamfer distance, accuracy,
# completeness (§4.3).
TABLE_5 = {
    "DDPM": {
        "100% synth": (3.50, 4.34, 2.66),
        "100% real + 25% synth": (3.30, 4.04, 2.56),
        "50% real + 25% synth": (3.37, 4.15, 2.60),
    },
    "OTFM": {
        "100% synth": (3.36, 4.09, 2.63),
        "100% real + 25% synth": (3.17, 3.81, 2.54),
        "50% real + 25% synth": (3.31, 3.99, 2.63),
    },
}
TABLE_6 = {
    "real only": {"100% real": (3.29, 3.98, 2.60), "50% real": (3.41, 4.12, 2.69)},
    "+25% OTFM": {"100% real": (3.17, 3.81, 2.54), "50% real": (3.31, 3.99, 2.63)},
}

# Table 7, the text's grids (§3.3) and T (§3.2).
TABLE_7 = {
    "voxels out": (456, 352, 512),
    "voxels in": (374, 289, 420),
    "latent": (94, 73, 105),
    "compression": 4,
    "codebook size": 16384,
    "code dimension": 8,
    "VQ-VAE batch": 1,
    "VQ-VAE learning rate": 1e-4,
    "VQ-VAE steps": 150_000,
    "U-Net batch": 1,
    "U-Net learning rate": 5e-5,
    "U-Net steps": 200_000,
    "timesteps": 300,
}

# Table 8: reconstruction error, mean |v − v̂| on [−1, 1]; left, then right.
TABLE_8 = {
    "VQ-GAN": 0.02323,
    "VQ-VAE + LPIPS": 0.00293,
    "VQ-VAE": 0.00227,
    "s=0.422, up": 0.0037,
    "s=0.53, up": 0.0033,
    "s=0.578, no up": 0.0039,
    "s=0.578, up": 0.0025,
    "s=0.82, up": 0.0023,
}
RECONSTRUCTION_ERROR = TABLE_8["VQ-VAE"]

# Table 9: shares of the generated skulls; how they were rated is not reported.
TABLE_9 = {
    "DDPM": {"failed generations": 0.12, "conditioning errors": 0.32},
    "OTFM": {"failed generations": 0.04, "conditioning errors": 0.06},
}

# Table 10: the networks of the tasks; their losses are L1 and the Chamfer distance.
TABLE_10 = {
    "aligner steps": 7000,
    "aligner points": 8192,
    "aligner batch": 12,
    "aligner learning rate": 1e-3,
    "aligner embedding": 1024,
    "completer steps": 72_800,
    "completer points": 4096,
    "completer batch": 4,
    "completer learning rate": 1e-4,
}

# Table 11: completion, Chamfer distance in the defect by quality score, mm (E.3).
TABLE_11 = {
    "100% real": {
        "overall": 3.29, "QS 2": 3.26, "QS 3": 3.09, "QS 4": 3.89, "QS 5": 3.09,
        "QS 6": 3.02,
    },
    "OTFM-s": {
        "overall": 3.17, "QS 2": 3.16, "QS 3": 3.02, "QS 4": 3.52, "QS 5": 3.12,
        "QS 6": 2.96,
    },
    "OTFM-b": {
        "overall": 3.14, "QS 2": 3.06, "QS 3": 2.99, "QS 4": 3.61, "QS 5": 2.99,
        "QS 6": 3.00,
    },
}  # fmt: skip
