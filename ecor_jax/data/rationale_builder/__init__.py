"""The TFDS builder of labelled images; TFDS wants a builder in a package folder of its own."""
