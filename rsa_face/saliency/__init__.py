"""Where networks look when they judge a face: class activation maps, and their shares by facial region."""

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """Lets ``rsa_face.saliency(...)`` make maps, though the name is also this folder's."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from rsa_face.saliency.maps import saliency

        return saliency(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
