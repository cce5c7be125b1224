"""Where networks look when they judge a face: class activation maps, and their shares by facial region."""

import sys
import warnings
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """Lets ``rsa_face.saliency(...)`` make maps for one more version, since `map_saliency` was called so."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from rsa_face.saliency.maps import map_saliency

        message = "rsa_face.saliency(...) is called rsa_face.map_saliency(...), and goes in the next version."
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return map_saliency(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
