// The back camera, and the torch where there is one.

export class Camera {
  private readonly stream: MediaStream;
  private constructor(stream: MediaStream) {
    this.stream = stream;
  }
  /** Throws what the browser throws: refused, or none there. */
  static async start(video: HTMLVideoElement, wide: number): Promise<Camera> {
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { facingMode: { ideal: 'environment' }, width: { ideal: wide } },
    });
    const camera = new Camera(stream);
    try {
      video.srcObject = stream;
      await video.play();
    } catch (why) {
      // Nobody else could turn it off.
      camera.stop();
      throw why;
    }
    return camera;
  }
  get hasTorch(): boolean {
    const track = this.stream.getVideoTracks()[0];
    return Boolean((track?.getCapabilities?.() as { torch?: boolean } | undefined)?.torch);
  }
  async torch(on: boolean): Promise<void> {
    const constraints = { advanced: [{ torch: on } as MediaTrackConstraintSet] };
    await this.stream.getVideoTracks()[0]?.applyConstraints(constraints).catch(() => undefined);
  }
  stop(): void {
    for (const track of this.stream.getTracks()) track.stop();
  }
}
