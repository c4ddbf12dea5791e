"""What a challenger must beat where there is no champion yet: persistence, or one sentence for all clips."""

from collections.abc import Mapping

SKILL = "test/skill_persistence/"
CIDER = ("test/cider", "reference/constant/cider")


def beats_reference(metrics: Mapping[str, float]) -> tuple[bool, str]:
    """Whether the figures in a run's metrics.json are better than knowing nothing, and how that is told.

    Maps: the mean over variables and lead times of `test/skill_persistence` is above 0. Clips: CIDEr is above
    that of the constant caption. A run with neither figure is refused.
    """
    skills = [value for name, value in metrics.items() if name.startswith(SKILL)]
    if skills:
        mean = sum(skills) / len(skills)
        told = f"mean skill against persistence {mean:.3f} over {len(skills)} variables and lead times"
        return mean > 0, f"no champion yet: {told}{'' if mean > 0 else ', which is not above 0'}"
    if all(name in metrics for name in CIDER):
        own, constant = (metrics[name] for name in CIDER)
        beaten = own > constant
        words = "above" if beaten else "not above"
        return beaten, f"no champion yet: CIDEr {own:.3f}, {words} the constant caption's {constant:.3f}"
    return False, f"no champion yet, and metrics.json holds neither {SKILL}* nor {' and '.join(CIDER)}"
