"""Earlier parameter names of this project's own layers, so that older weight files still load.

Networks with published weights keep their published names; none of the patterns matches one of those.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

#: regular expressions and replacements, in the order in which they are applied; a name starts at ``^`` or after a dot
LAYER_KEYS: tuple[tuple[str, str], ...] = (
    (r"(^|\.)enter\.", r"\1in_proj."),
    (r"(^|\.)leave\.", r"\1out_proj."),
    (r"(^|\.)feed\.rise\.", r"\1ffn.fc1."),
    (r"(^|\.)feed\.fall\.", r"\1ffn.fc2."),
    (r"(^|\.)feed_norm\.", r"\1ffn_norm."),
    (r"(^|\.)mix\.", r"\1fuse_proj."),
    (r"(^|\.)share$", r"\1layer_weights"),
    (r"(^|\.)hidden$", r"\1mask_embedding"),
    (r"(^|\.)descent\.", r"\1down."),
    (r"(^|\.)bottom\.", r"\1mid."),
    (r"(^|\.)ascent\.", r"\1up."),
    (r"(^|\.)attention\.place\.", r"\1attention.position."),
    (r"(^|\.)bias_place$", r"\1bias_position"),
    (r"(^|\.)blocks\.(\d+)\.before\.", r"\1blocks.\2.ffn1."),
    (r"(^|\.)blocks\.(\d+)\.after\.", r"\1blocks.\2.ffn2."),
)


def rename_keys(state: Mapping[str, Tensor], patterns: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """Rename the keys of a state dict.

    Args:
        state: tensors by parameter name.
        patterns: regular expressions and replacements, all of them applied to every key in this order.

    Returns:
        The same tensors in the same order under their new names.

    Raises:
        ValueError: two keys get the same name.
    """
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in patterns]
    renamed: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = key
        for pattern, replacement in compiled:
            name = pattern.sub(replacement, name)
        if name in renamed:
            raise ValueError(f"state dict has two keys that become '{name}', one of them '{key}'")
        renamed[name] = tensor
    return renamed
