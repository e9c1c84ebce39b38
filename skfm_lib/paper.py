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

# Table 7, the text's grids (§3.3) and T (§3.2).
TABLE_7 = {
    "voxels out": (456, 352, 512),
    "voxels in": (374, 289, 420),
    "latent": (94, 73, 105),
    "codebook size": 16384,
    "code dimension": 8,
    "VQ-VAE steps": 150_000,
    "U-Net steps": 200_000,
    "timesteps": 300,
}

# Table 8, left: reconstruction error of the VQ-VAE, mean |v − v̂| on [−1, 1].
RECONSTRUCTION_ERROR = 0.00227

# Table 9: shares of the generated skulls; the paper does not say who judged, or how.
TABLE_9 = {
    "DDPM": {"failed generations": 0.12, "conditioning errors": 0.32},
    "OTFM": {"failed generations": 0.04, "conditioning errors": 0.06},
}
