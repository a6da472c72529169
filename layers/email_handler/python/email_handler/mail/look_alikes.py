"""Letters of other scripts that look like a Latin one in most fonts: one table for all who read as a person does.

A subset of Unicode's confusables (UTS #39), by shape: a transliteration reads the Cyrillic letter that looks like p as r.
"""

_SHAPES = str.maketrans(
    "АВСЕНІЈКМОРЅТУХЗаьсеһіјоԛрѕшухѡԁгᴠвкмнтӏΑΒΕΖΗΙΚΜΝΟΡΤΥΧαβεικνορτυχωⲟօոսցհıłøðđħɑɡɩʏ"
    "ѵпүҮΥγησϲҽҿᎥՏՕՍԼՈլազⲢⲣⲤⲥⲦⲨⲩⲬⲭⲎⲒⲔⲘⲚ"
    "ᎠᎡᎢᎩᎪᎫᎬᎳᎷᎻᎽᏀᏂᏃᏏᏒᏔᏕᏙᏚᏞᏟᏢᏦᏧᏴᏌ"
    "ꓐꓑꓒꓓꓔꓖꓗꓙꓚꓜꓝꓟꓠꓡꓢꓣꓦꓧꓪꓫꓬꓮꓰꓲꓳꓴ",  # noqa: RUF001 - they too
    "ABCEHIJKMOPSTYX3abcehijoqpswyxwdrvbkmhtlABEZHIKMNOPTYXaBeikvoptuxwoonughiloddhagiy"
    "vnyYYynoceeiSOULnlwqPpCcTYyXxHIKMN"
    "DRTYAJEWMHYGhZbRWSVSLCPKdBU"
    "BPdDTGKJCZFMNLSRVHWXYAEIOU",
)
_CHEROKEE = range(0x13A0, 0x13F6)
LOOK_ALIKES = _SHAPES | {ord(chr(letter).lower()): shape for letter, shape in _SHAPES.items() if letter in _CHEROKEE}
"""For :meth:`str.translate`. Small letters of Cherokee look like small capitals."""
