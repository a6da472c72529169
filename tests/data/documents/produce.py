# ruff: noqa: PLC0415, DTZ001, ICN001, T201, BLE001
# mypy: ignore-errors
"""Write the documents of this folder with the programs that produce such files: ``python produce.py``.

Needs reportlab, fpdf2, pikepdf, python-docx, openpyxl, xlsxwriter, odfpy, python-pptx and pillow from PyPI, and
LibreOffice, Chromium and pdfLaTeX from Debian. The suite needs none of them: it reads the files.

Each document is written twice: with the owner's address in it, and with a look-alike's.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
ADDRESSES = {"private": "me@private.example", "alike": "some.me@private.example"}
SENTENCE = "Please write to {} by Friday."


def _run(*command: str, folder: Path) -> None:
    subprocess.run(
        command, cwd=folder, check=True, capture_output=True, timeout=180, env=os.environ | {"HOME": str(folder)}
    )


def reportlab_pdf(address: str, target: Path) -> None:
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(target), pageCompression=1)
    canvas.drawString(72, 700, SENTENCE.format(address))
    canvas.linkURL(f"mailto:{address}", (72, 690, 300, 710))
    canvas.save()


def reportlab_metadata_pdf(address: str, target: Path) -> None:
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(target))
    canvas.setAuthor(f"Mé <{address}>")
    canvas.drawString(72, 700, "Hello")
    canvas.save()


def reportlab_truetype_pdf(address: str, target: Path) -> None:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont
    from reportlab.pdfgen.canvas import Canvas

    pdfmetrics.registerFont(TTFont("DejaVu", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"))
    canvas = Canvas(str(target))
    canvas.setFont("DejaVu", 12)
    canvas.drawString(72, 700, "Žluťoučký " + SENTENCE.format(address))
    canvas.save()


def fpdf2_pdf(address: str, target: Path) -> None:
    from fpdf import FPDF

    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", size=12)
    with pdf.table() as table:
        for cells in (("Name", "Mail", "Town"), ("Smith", address, "Berlin")):
            row = table.row()
            for cell in cells:
                row.cell(cell)
    pdf.output(str(target))


def fpdf2_shaped_pdf(address: str, target: Path) -> None:
    from fpdf import FPDF

    pdf = FPDF()
    pdf.add_page()
    pdf.add_font("DejaVu", fname="/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
    pdf.set_font("DejaVu", size=12)
    pdf.write(8, SENTENCE.format(address))
    pdf.output(str(target))


def qpdf_object_streams_pdf(address: str, target: Path) -> None:
    import pikepdf

    plain = target.with_suffix(".tmp")
    reportlab_pdf(address, plain)
    with pikepdf.open(plain) as pdf:
        pdf.docinfo["/Subject"] = address
        pdf.save(target, object_stream_mode=pikepdf.ObjectStreamMode.generate, linearize=True)
    plain.unlink()


def qpdf_attached_pdf(address: str, target: Path) -> None:
    import pikepdf

    pdf = pikepdf.new()
    pdf.add_blank_page()
    pdf.attachments["notes.txt"] = SENTENCE.format(address).encode()
    pdf.save(target)


def qpdf_encrypted_pdf(address: str, target: Path) -> None:
    import pikepdf

    plain = target.with_suffix(".tmp")
    reportlab_pdf(address, plain)
    with pikepdf.open(plain) as pdf:
        pdf.save(target, encryption=pikepdf.Encryption(owner="o", user="", R=6))
    plain.unlink()


def qpdf_form_pdf(address: str, target: Path) -> None:
    import pikepdf

    pdf = pikepdf.new()
    page = pdf.add_blank_page()
    field = pikepdf.Dictionary(
        Type=pikepdf.Name.Annot,
        Subtype=pikepdf.Name.Widget,
        FT=pikepdf.Name.Tx,
        T="mail",
        V=address,
        Rect=[0, 0, 99, 20],
    )
    page.Annots = pdf.make_indirect([pdf.make_indirect(field)])
    pdf.Root.AcroForm = pikepdf.Dictionary(Fields=page.Annots)
    pdf.save(target, object_stream_mode=pikepdf.ObjectStreamMode.generate)


def latex_pdf(address: str, target: Path) -> None:
    _latex(
        r"\documentclass{article}\pagestyle{empty}\begin{document}"
        + SENTENCE.format(address)
        + r" Avalanche WAVE.\end{document}",
        target,
    )


def latex_hyperref_pdf(address: str, target: Path) -> None:
    _latex(
        r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{hyperref}\pagestyle{empty}\begin{document}"
        rf"\begin{{tabular}}{{ll}}Smith & \href{{mailto:{address}}}{{\texttt{{{address}}}}}\\\end{{tabular}}\end{{document}}",
        target,
    )


def _latex(source: str, target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.tex").write_text(source)
        _run("pdflatex", "-interaction=batchmode", "a.tex", folder=Path(folder))
        shutil.copy(Path(folder) / "a.pdf", target)


HTML = """<!doctype html><meta charset=utf-8><style>td{{border:1px solid}}</style>
<h1>Contact</h1><table><tr><td>Smith<td>{0}<td>Berlin</table><p>Write to <a href="mailto:{0}"><b>{1}</b>{2}</a>, thanks.</p>"""


def _page(address: str) -> str:
    local, _, domain = address.partition("@")
    return HTML.format(address, local, "@" + domain)


def chromium_pdf(address: str, target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.html").write_text(_page(address))
        _run(
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/p",
            "--print-to-pdf=a.pdf", "--no-pdf-header-footer", "a.html", folder=Path(folder),
        )  # fmt: skip
        shutil.copy(Path(folder) / "a.pdf", target)


def _office(source: str, name: str, kind: str, target: Path, more: tuple[str, ...] = ()) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_text(source)
        _run(
            "soffice",
            "--headless",
            *more,
            "--convert-to",
            kind,
            "--outdir",
            folder,
            str(Path(folder) / name),
            folder=Path(folder),
        )
        shutil.copy(Path(folder) / f"{Path(name).stem}.{kind.partition(':')[0]}", target)


def libreoffice_pdf(address: str, target: Path) -> None:
    _office(_page(address), "a.html", "pdf:writer_web_pdf_Export", target)


def libreoffice_docx(address: str, target: Path) -> None:
    _office(_page(address), "a.html", "docx:MS Word 2007 XML", target, ("--infilter=HTML (StarWriter)",))


def libreoffice_odt(address: str, target: Path) -> None:
    _office(_page(address), "a.html", "odt:writer8", target, ("--infilter=HTML (StarWriter)",))


def libreoffice_rtf(address: str, target: Path) -> None:
    _office(_page(address), "a.html", "rtf:Rich Text Format", target, ("--infilter=HTML (StarWriter)",))


def libreoffice_doc(address: str, target: Path) -> None:
    _office(_page(address), "a.html", "doc:MS Word 97", target, ("--infilter=HTML (StarWriter)",))


def libreoffice_xlsx(address: str, target: Path) -> None:
    _office(f"Name,Mail\nSmith,{address}\n", "a.csv", "xlsx", target)


def libreoffice_ods(address: str, target: Path) -> None:
    _office(f"Name,Mail\nSmith,{address}\n", "a.csv", "ods", target)


def python_docx_runs_docx(address: str, target: Path) -> None:
    import docx

    document = docx.Document()
    paragraph = document.add_paragraph("Write to ")
    for at in range(0, len(address), 4):
        paragraph.add_run(address[at : at + 4]).bold = bool(at % 2)
    document.save(str(target))


def python_docx_properties_docx(address: str, target: Path) -> None:
    import docx

    document = docx.Document()
    document.core_properties.author = address
    document.save(str(target))


def openpyxl_xlsx(address: str, target: Path) -> None:
    from openpyxl import Workbook
    from openpyxl.comments import Comment

    book = Workbook()
    book.active["B2"] = "see note"
    book.active["B2"].comment = Comment(f"ask {address}", "Me")
    book.save(target)


def xlsxwriter_rich_xlsx(address: str, target: Path) -> None:
    import xlsxwriter

    book = xlsxwriter.Workbook(str(target))
    bold = book.add_format({"bold": True})
    book.add_worksheet().write_rich_string("A1", "to ", bold, address[:4], address[4:], bold, " now")
    book.close()


def odfpy_odt(address: str, target: Path) -> None:
    from odf.opendocument import OpenDocumentText
    from odf.text import P, Span

    document = OpenDocumentText()
    paragraph = P()
    for piece in ("Write to ", address[:3], address[3:12], address[12:]):
        paragraph.addElement(Span(text=piece))
    document.text.addElement(paragraph)
    document.save(str(target))


def python_pptx_pptx(address: str, target: Path) -> None:
    from pptx import Presentation

    slides = Presentation()
    slide = slides.slides.add_slide(slides.slide_layouts[5])
    slide.shapes.title.text = "Contact"
    slide.notes_slide.notes_text_frame.text = f"call {address}"
    slides.save(str(target))


def pillow_png(address: str, target: Path) -> None:
    from PIL import Image, PngImagePlugin

    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "x" * 200 + f" by {address}", zip=True)
    info.add_itxt("Comment", f"ü {address}", zip=True)
    Image.new("RGB", (4, 4)).save(target, pnginfo=info)


def pillow_jpg(address: str, target: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x013B] = address  # artist
    exif[0x9C9D] = address.encode("utf-16-le")  # XPAuthor
    Image.new("RGB", (8, 8)).save(target, exif=exif, comment=f"by {address}".encode())


def pillow_webp(address: str, target: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(target, xmp=f"<x:xmpmeta><dc:creator>{address}</dc:creator></x:xmpmeta>".encode())


def pillow_gif(address: str, target: Path) -> None:
    from PIL import Image

    Image.new("P", (8, 8)).save(target, comment=("y" * 250 + f" {address}").encode())


def pillow_tif(address: str, target: Path) -> None:
    from PIL import Image

    Image.new("L", (8, 8)).save(target, tiffinfo={315: address})


def cryptography_der(address: str, target: Path) -> None:
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, day = ec.generate_private_key(ec.SECP256R1()), datetime.datetime(2026, 1, 1)
    name = x509.Name(
        [x509.NameAttribute(x509.NameOID.COMMON_NAME, "Me"), x509.NameAttribute(x509.NameOID.EMAIL_ADDRESS, address)]
    )
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(day).not_valid_after(day.replace(year=2030))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
    target.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER))


PRODUCERS: dict[str, Callable[[str, Path], None]] = {
    name: producer
    for name, producer in list(globals().items())
    if callable(producer) and not name.startswith("_") and getattr(producer, "__module__", "") == __name__
}


def main() -> None:
    wanted = sys.argv[1:] or list(PRODUCERS)
    for name in wanted:
        stem, _, suffix = name.rpartition("_")
        for kind, address in ADDRESSES.items():
            target = HERE / f"{stem.replace('_', '-')}-{kind}.{suffix}"
            try:
                PRODUCERS[name](address, target)
                print(target.name, target.stat().st_size)
            except Exception as error:
                print(f"{name}: {error!r}", getattr(error, "stderr", b"")[-300:])


if __name__ == "__main__":
    main()
