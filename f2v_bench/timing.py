"""Sample rate, frame rates and the ratios between them: the one home of these constants."""

SAMPLE_RATE = 16_000  #: audio samples per second of every network and metric
FPS = 25  #: video frames per second; ``media`` resamples every other rate
MEL_FRAMES_PER_VIDEO_FRAME = 4  #: 100 Hz mel frames of a 25 Hz video frame
UNITS_PER_VIDEO_FRAME = 2  #: 50 Hz speech units of a 25 Hz video frame
MEL_FRAMES_PER_UNIT = MEL_FRAMES_PER_VIDEO_FRAME // UNITS_PER_VIDEO_FRAME
SAMPLES_PER_VIDEO_FRAME = SAMPLE_RATE // FPS
