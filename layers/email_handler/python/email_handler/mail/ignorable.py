"""Characters that readers' programs do not show: one table for the leak gate and the spam rules.

Unicode's property Default_Ignorable_Code_Point (DerivedCoreProperties.txt), which is the same in Unicode 14.0 to 17.0:
soft hyphen, joiners, direction marks, fillers, variation selectors, tags, and the code points reserved for more of them.
"""

from email_handler.mail.patterns import regex

RANGES = (
    (0xAD, 0xAD),
    (0x34F, 0x34F),
    (0x61C, 0x61C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)
"""First and last code point of each range."""

CHARACTERS = "".join(f"{chr(first)}-{chr(last)}" for first, last in RANGES)
"""The table as the inside of a character class, for Python's patterns and PCRE2's."""

IGNORABLE = regex(f"[{CHARACTERS}]+")
