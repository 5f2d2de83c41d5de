"""Images without annotations to weak records: an OCR engine reads them, its confident words are kept.

The automatic acquisition of the oCLIP paper (section 4.3), with any engine that fits `engine.OcrEngine`.
"""
