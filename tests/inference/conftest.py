"""The shapes written in the claims' kernels are checked at run time while the tests run."""

import jaxtyping

jaxtyping.install_import_hook(
    [
        "rsa_face.inference.contrasts",
        "rsa_face.inference.localization",
        "rsa_face.inference.partial",
        "rsa_face.inference.permutation",
        "rsa_face.inference.significance",
        "rsa_face.inference.simultaneous",
        "rsa_face.inference.unique",
    ],
    "beartype.beartype",
)
