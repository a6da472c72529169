"""Letters of other scripts that look like a Latin one in most fonts: one table for all who read as a person does.

A subset of Unicode's confusables (UTS #39), by shape: a transliteration reads the Cyrillic letter that looks like p as r.
"""

LOOK_ALIKES = str.maketrans(
    "АВСЕНІЈКМОРЅТУХЗаьсеһіјоԛрѕшухѡԁгᴠвкмнтӏΑΒΕΖΗΙΚΜΝΟΡΤΥΧαβεικνορτυχωⲟօոսցհıłøðđħɑɡɩʏ"
    "ѵпүҮΥγησϲՏՕՍԼՈլազⲢⲣⲤⲥⲦⲨⲩⲬⲭⲎⲒⲔⲘⲚ"
    "ᎠᎡᎢᎩᎪᎫᎬᎳᎷᎻᎽᏀᏂᏃᏏᏒᏔᏕᏙᏚᏞᏟᏢᏦᏧᏴᏌ"
    "ꓐꓑꓒꓓꓔꓖꓗꓙꓚꓜꓝꓟꓠꓡꓢꓣꓦꓧꓪꓫꓬꓮꓰꓲꓳꓴ",  # noqa: RUF001 - they too
    "ABCEHIJKMOPSTYX3abcehijoqpswyxwdrvbkmhtlABEZHIKMNOPTYXaBeikvoptuxwoonughiloddhagiy"
    "vnyYYynocSOULnlwqPpCcTYyXxHIKMN"
    "DRTYAJEWMHYGhZbRWSVSLCPKdBU"
    "BPdDTGKJCZFMNLSRVHWXYAEIOU",
)
"""For :meth:`str.translate`."""
