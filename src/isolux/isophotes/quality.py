"""What there is to remark on a point of a profile and on a profile; the text of a flag is its message."""

from __future__ import annotations

from enum import IntFlag


class Quality(IntFlag):
    """Remarks on one radius of a profile; several may hold at once. Zero is good."""

    MASKED = 1
    EDGE = 2
    REPLACED = 4
    HELD = 8
    NEGATIVE = 16
    CORE = 32

    @property
    def messages(self) -> list[str]:
        """The sentences of the flags that are set."""
        return [QUALITY_MESSAGES[flag] for flag in Quality if flag in self]


QUALITY_MESSAGES: dict[Quality, str] = {
    Quality.MASKED: "over half of the ring is masked",
    Quality.EDGE: "over a tenth of the ring lies outside the stamp",
    Quality.REPLACED: "no good pixels: the brightness is that of the rings to both sides",
    Quality.HELD: "too little signal for a shape: ellipticity and angle are held from the rings inside",
    Quality.NEGATIVE: "the brightness is not positive",
    Quality.CORE: "within the core, where neighbouring radii share their pixels",
}


class ProfileFlag(IntFlag):
    """Remarks on the profile of a galaxy; several may hold at once."""

    UNUSABLE = 1
    NO_GALAXY = 2
    EDGE = 4
    MUCH_MASKED = 8
    CENTRE_MASKED = 16
    CENTRE_MOVED = 32
    SKY_UNCERTAIN = 64
    COMPANION = 128
    NEGATIVE = 256
    HELD = 512
    RESAMPLED = 1024
    UNLIKE = 2048
    ENDED = 4096

    @property
    def messages(self) -> list[str]:
        """The sentences of the flags that are set."""
        return [PROFILE_MESSAGES[flag] for flag in ProfileFlag if flag in self]


PROFILE_MESSAGES: dict[ProfileFlag, str] = {
    ProfileFlag.UNUSABLE: "the stamp cannot be used: nothing was measured",
    ProfileFlag.NO_GALAXY: "no galaxy above the noise near the centre: the profile is empty",
    ProfileFlag.EDGE: "the stamp ends before the profile does",
    ProfileFlag.MUCH_MASKED: "over a fifth of the pixels inside the last isophote are masked",
    ProfileFlag.CENTRE_MASKED: "the pixel at the centre is masked",
    ProfileFlag.CENTRE_MOVED: "the isophotes' centre is far from the brightest place",
    ProfileFlag.SKY_UNCERTAIN: "the galaxy fills the stamp: the sky rests on an extrapolation",
    ProfileFlag.COMPANION: "a source of comparable brightness was masked: the galaxy may be blended",
    ProfileFlag.NEGATIVE: "the flux inside the last isophote is not positive",
    ProfileFlag.HELD: "too faint for a shape: all isophotes have that of the moments",
    ProfileFlag.RESAMPLED: "resampled to the pixels of the network's training",
    ProfileFlag.UNLIKE: "unlike the network's training: it may be off by more than its errors",
    ProfileFlag.ENDED: "the rule of where profiles end leaves no point of this one",
}
