// Reads barcodes: the browser's own detector where there is one, else zxing compiled to WebAssembly, loaded when the scanner
// is first opened.

export type Source = HTMLVideoElement | HTMLCanvasElement | ImageBitmap;
export interface Reader {
  /** Texts of the codes in the picture, none when there are none. */
  read(source: Source): Promise<string[]>;
}

interface Detector {
  detect(source: Source): Promise<{ rawValue: string }[]>;
}
interface DetectorClass {
  new (options: { formats: string[] }): Detector;
  getSupportedFormats(): Promise<string[]>;
}
/** What parcels carry. */
const WANTED = ['code_128', 'qr_code', 'data_matrix', 'code_39', 'itf', 'aztec', 'pdf417', 'ean_13'];
/** A label fills a good part of the picture: no need to look at more pixels than this. */
const LOOK_PX = 1_280;

async function native(): Promise<Reader | null> {
  const Detector = (globalThis as { BarcodeDetector?: DetectorClass }).BarcodeDetector;
  if (!Detector) return null;
  const formats = (await Detector.getSupportedFormats()).filter((f) => WANTED.includes(f));
  // Without the two that nearly every parcel has, zxing sees more.
  if (!formats.includes('code_128') || !formats.includes('qr_code')) return null;
  const detector = new Detector({ formats });
  return { read: async (source) => (await detector.detect(source)).map((code) => code.rawValue) };
}

async function zxing(): Promise<Reader> {
  const [{ prepareZXingModule, readBarcodes }, { default: wasm }] = await Promise.all([
    import('zxing-wasm/reader'),
    import('zxing-wasm/reader/zxing_reader.wasm?url'),
  ]);
  // At once, while there is a network.
  await prepareZXingModule({ overrides: { locateFile: () => wasm }, fireImmediately: true });
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', { willReadFrequently: true })!;
  return {
    async read(source) {
      const [width, height] = sizeOf(source);
      const scale = Math.min(1, LOOK_PX / Math.max(width, height, 1));
      canvas.width = Math.max(1, Math.round(width * scale));
      canvas.height = Math.max(1, Math.round(height * scale));
      context.drawImage(source, 0, 0, canvas.width, canvas.height);
      const image = context.getImageData(0, 0, canvas.width, canvas.height);
      const found = await readBarcodes(image, { tryHarder: true, maxNumberOfSymbols: 4 });
      return found.filter((code) => code.isValid).map((code) => code.text);
    },
  };
}
function sizeOf(source: Source): [number, number] {
  return source instanceof HTMLVideoElement ? [source.videoWidth, source.videoHeight] : [source.width, source.height];
}

let made: Promise<Reader> | null = null;
/** One reader for the whole page. */
export function reader(): Promise<Reader> {
  made ??= native().then((own) => own ?? zxing()).catch((error: unknown) => {
    made = null;
    throw error;
  });
  return made;
}
