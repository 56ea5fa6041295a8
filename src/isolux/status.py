"""How a galaxy's fit ended, and what was remarked on the way.

A galaxy has exactly one :class:`Status`, the reason why its fit ended, and any number of :class:`Flag` marks.
The text of a code is its message; nothing else in the code spells it out again.
"""

from enum import IntEnum, IntFlag

from isolux.types import Tensor


class Status(IntEnum):
    """Why a galaxy's fit ended. Zero is success."""

    CONVERGED = 0, "converged"
    STEP_LIMIT = 1, "stopped at the step limit before convergence"
    STALLED = 2, "no downhill step found at the precision of the arithmetic"
    NOT_FINITE = 3, "the model or its chi-square is not finite at the starting values"
    MASKED_OUT = 4, "every pixel is masked"
    TOO_FEW_PIXELS = 5, "fewer good pixels than free parameters"
    BAD_INPUT = 6, "the image, sigma or mask cannot be used"
    BAD_PSF = 7, "the PSF cannot be used"
    BAD_START = 8, "a starting value is not finite or lies outside its bounds"
    RUNNING = 9, "not fitted yet"
    FAILED = 10, "an unexpected error ended the fit"
    BAD_PRIOR = 11, "a prior cannot be used, or is not finite at the starting values"

    message: str

    def __new__(cls, code: int, message: str = "") -> "Status":
        """A code with its message."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.message = message
        return member

    @property
    def fitted(self) -> bool:
        """Whether the galaxy has best-fit values, converged or not."""
        return self in (Status.CONVERGED, Status.STEP_LIMIT, Status.STALLED)


class Flag(IntFlag):
    """Remarks on a galaxy; several may hold at once."""

    AT_BOUND = 1
    NO_COVARIANCE = 2
    PIXELS_REPAIRED = 4
    CENTRE_MASKED = 8
    PSF_SCALED = 16
    PSF_NEGATIVE = 32
    PADDED = 64
    UNRESOLVED = 128
    LOW_SIGNAL = 256
    OFF_CENTRE = 512
    NO_PSF = 1024
    BOOTSTRAP_FAILED = 2048
    NOT_LINEARISED = 4096
    PSF_UNDERSAMPLED = 8192
    GPU_LOST = 16384
    NOT_QUADRATIC = 32768
    NOT_MIXED = 65536
    PRIOR_CONFLICT = 131072
    OUTLYING = 262144
    EDGE = 524288
    SATURATED = 1048576
    BLENDED = 2097152
    NEIGHBOUR_MASKED = 4194304
    MUCH_MASKED = 8388608
    STAMP_LIMIT = 16777216
    MOVED = 33554432
    OUTSIDE = 67108864
    BAND_MISSING = 134217728

    @property
    def messages(self) -> list[str]:
        """The sentences of the flags that are set."""
        return [FLAG_MESSAGES[flag] for flag in Flag if flag in self]


FLAG_MESSAGES: dict[Flag, str] = {
    Flag.AT_BOUND: "a parameter ended at its bound",
    Flag.NO_COVARIANCE: "no covariance: the data do not constrain every free parameter",
    Flag.PIXELS_REPAIRED: "pixels with NaN, infinite or non-positive sigma were masked",
    Flag.CENTRE_MASKED: "the central pixel of a component is masked",
    Flag.PSF_SCALED: "the PSF did not sum to one and was normalised",
    Flag.PSF_NEGATIVE: "the PSF has negative pixels that matter (over 1 % of its sum)",
    Flag.PADDED: "the stamp was padded with masked pixels to the size of its batch",
    Flag.UNRESOLVED: "a component is smaller than the PSF: size and shape rest on an exact PSF",
    Flag.LOW_SIGNAL: "a component has a signal-to-noise below 20",
    Flag.OFF_CENTRE: "a component's centre ended outside the stamp",
    Flag.NO_PSF: "no PSF was given: the model was not convolved",
    Flag.BOOTSTRAP_FAILED: "over a tenth of the bootstrap replicates did not converge",
    Flag.NOT_LINEARISED: "no covariance: free vectors or too many free parameters for a matrix of all pairs",
    Flag.PSF_UNDERSAMPLED: "the PSF is undersampled: give an oversampled one",
    Flag.GPU_LOST: "fitted on the CPU, because the GPU was lost",
    Flag.NOT_QUADRATIC: "chi-square is no quadratic within the errors: prefer percentiles of posterior samples",
    Flag.NOT_MIXED: "posterior samples are not to be trusted: chains disagree, or hold too few independent samples",
    Flag.PRIOR_CONFLICT: "a value ended more than four widths from the middle of its prior",
    Flag.OUTLYING: "the robust loss took much of the galaxy itself for outliers",
    Flag.EDGE: "the source is cut off by the edge of the image",
    Flag.SATURATED: "pixels of the source are saturated",
    Flag.BLENDED: "the source's light overlaps that of others",
    Flag.NEIGHBOUR_MASKED: "a neighbour has no model: its pixels were masked",
    Flag.MUCH_MASKED: "over a fifth of the source's pixels are masked",
    Flag.STAMP_LIMIT: "the stamp should have been larger than is allowed",
    Flag.MOVED: "the fitted centre is far from where the source was detected",
    Flag.OUTSIDE: "the given position is not on the image",
    Flag.BAND_MISSING: "a band could not be used: the others were fitted without it",
}


def sentence(status: int, flags: int = 0) -> str:
    """The status and flags of a galaxy as one line of text."""
    return "; ".join([Status(status).message, *Flag(flags).messages])


def count(status: Tensor) -> dict[str, int]:
    """How many galaxies ended in each way, by name, most frequent first."""
    codes, numbers = status.unique(return_counts=True)
    pairs = sorted(zip(numbers.tolist(), codes.tolist(), strict=True), reverse=True)
    return {Status(code).name.lower(): number for number, code in pairs}
