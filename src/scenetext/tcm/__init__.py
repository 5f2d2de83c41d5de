"""TCM: Turning a CLIP Model into a Scene Text Detector (Yu et al., CVPR 2023, arXiv:2302.14338), and FastTCM of its
sequel (arXiv:2408.11408): a module around CLIP's encoders that any detector takes as its encoder."""
