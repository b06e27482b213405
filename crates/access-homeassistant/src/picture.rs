//! How bright a camera's picture is. Pure, and within bounds: the bytes are a stranger's. The picture is dropped here; nothing
//! of it is kept or logged.

use std::io::Cursor;

use parcelshelf_access::Still;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// A still of a camera with 4K is 1 to 3 MiB.
pub(crate) const BYTES_MAX: usize = 4 * 1024 * 1024;
/// Each side, pixels.
const SIDE_MAX: u32 = 4_096;
/// 4K. A frame of that many pixels is unpacked in a tenth of a second.
const PIXELS_MAX: u64 = 3_840 * 2_160;
/// Passes of a picture that is refined step by step; each goes over all of it.
const SCANS_MAX: usize = 16;
/// What may be unpacked: four channels of two bytes each.
const UNPACKED_BYTES_MAX: usize = 3_840 * 2_160 * 8;

/// `None` for what is neither JPEG nor PNG, is damaged, or is larger than any camera's picture.
pub(crate) fn still(bytes: &[u8]) -> Option<Still> {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => jpeg(bytes),
        [0x89, b'P', b'N', b'G', ..] => png(bytes),
        _ => None,
    }
}

fn jpeg(bytes: &[u8]) -> Option<Still> {
    let side = usize::try_from(SIDE_MAX).ok()?;
    let options = DecoderOptions::new_safe()
        .set_max_width(side)
        .set_max_height(side)
        .set_strict_mode(true)
        .jpeg_set_max_scans(SCANS_MAX)
        .jpeg_set_out_colorspace(ColorSpace::Luma);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().ok()?;
    let (width, height) = decoder.dimensions()?;
    let size = sized(u32::try_from(width).ok()?, u32::try_from(height).ok()?)?;
    told(size, decoder.decode().ok()?.iter().map(|luma| u64::from(*luma)))
}

fn png(bytes: &[u8]) -> Option<Still> {
    let limits = png::Limits { bytes: UNPACKED_BYTES_MAX };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().ok()?;
    let size = sized(reader.info().width, reader.info().height)?;
    let mut pixels = vec![0; reader.output_buffer_size().filter(|bytes| *bytes <= UNPACKED_BYTES_MAX)?];
    let frame = reader.next_frame(&mut pixels).ok()?;
    let pixels = pixels.get(..frame.buffer_size())?.chunks_exact(frame.color_type.samples());
    told(size, pixels.map(luma))
}
/// Of one pixel: grey or red, green and blue, each with or without transparency. Weights of Rec. 601, as a JPEG has them.
fn luma(pixel: &[u8]) -> u64 {
    match *pixel {
        [r, g, b] | [r, g, b, _] => (299 * u64::from(r) + 587 * u64::from(g) + 114 * u64::from(b)) / 1_000,
        [grey, ..] => u64::from(grey),
        [] => 0,
    }
}

fn sized(width: u32, height: u32) -> Option<(u32, u32)> {
    let fits = width > 0 && height > 0 && width <= SIDE_MAX && height <= SIDE_MAX;
    (fits && u64::from(width) * u64::from(height) <= PIXELS_MAX).then_some((width, height))
}
/// The mean, of exactly as many pixels as the picture says that it has.
fn told((width, height): (u32, u32), luma: impl Iterator<Item = u64>) -> Option<Still> {
    let (count, sum) = luma.fold((0_u64, 0_u64), |(count, sum), luma| (count + 1, sum + luma));
    let whole = count == u64::from(width) * u64::from(height);
    let brightness_permille = u16::try_from(whole.then_some(sum)? * 1_000 / (255 * count)).ok()?;
    Some(Still { brightness_permille, width, height })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 16 by 8 pixels of one grey, 192 of 255.
    const GREY_JPEG: &[u8] = include_bytes!("../tests/pictures/grey-192.jpg");

    fn png_of(colour: png::ColorType, width: u32, height: u32, pixel: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(colour);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&pixel.repeat(width as usize * height as usize)).unwrap();
        writer.finish().unwrap();
        bytes
    }
    fn bright(bytes: &[u8]) -> Option<u16> {
        still(bytes).map(|s| s.brightness_permille)
    }

    #[test]
    fn brightness_is_the_mean_of_what_the_eye_sees() {
        assert_eq!(still(GREY_JPEG), Some(Still { brightness_permille: 752, width: 16, height: 8 }));
        use png::ColorType::{Grayscale, GrayscaleAlpha, Rgb, Rgba};
        for (colour, pixel, permille) in [
            (Grayscale, &[0][..], 0),
            (Grayscale, &[255], 1_000),
            (GrayscaleAlpha, &[51, 9], 200),
            (Rgb, &[255, 255, 255], 1_000),
            (Rgb, &[255, 0, 0], 298),
            (Rgb, &[0, 255, 0], 584),
            (Rgba, &[0, 0, 255, 255], 113),
        ] {
            assert_eq!(bright(&png_of(colour, 8, 4, pixel)), Some(permille), "{colour:?} {pixel:?}");
        }
    }

    #[test]
    fn what_is_no_picture_or_larger_than_a_cameras_is_none() {
        for no in [&b""[..], b"GIF89a", b"<html>", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"null"] {
            assert_eq!(still(no), None, "{no:?}");
        }
        let good = png_of(png::ColorType::Grayscale, 8, 4, &[7]);
        assert!(still(&good).is_some() && still(&good[..good.len() / 2]).is_none(), "half a picture");
        assert_eq!(still(&GREY_JPEG[..GREY_JPEG.len() / 2]), None, "half a picture");
        // A few bytes that unpack to very many.
        assert_eq!(still(&png_of(png::ColorType::Grayscale, SIDE_MAX, SIDE_MAX, &[0])), None);
        assert_eq!(still(&png_of(png::ColorType::Grayscale, SIDE_MAX + 1, 1, &[0])), None);
        let mut wide = GREY_JPEG.to_vec();
        let frame = wide.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
        wide[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
        assert_eq!(still(&wide), None, "65,535 pixels each way");
    }

    proptest! {
        #[test]
        fn a_strangers_bytes_are_a_picture_within_bounds_or_none(
            jpeg in any::<bool>(), cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)
        ) {
            let mut bytes = if jpeg { GREY_JPEG.to_vec() } else { png_of(png::ColorType::Rgb, 16, 8, &[9, 99, 200]) };
            for (at, byte) in cuts {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some(still) = still(&bytes) {
                prop_assert!(still.brightness_permille <= 1_000 && still.width <= SIDE_MAX && still.height <= SIDE_MAX);
            }
        }
    }
}
