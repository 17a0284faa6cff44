//! Just enough of PNG to read the tiles of an installed original: eight bits of red, green and blue, no interlacing.

use std::io::Read;

use flate2::read::ZlibDecoder;

const NOT_PNG: &str = "not a PNG file";
const BROKEN: &str = "a truncated or corrupt PNG file";

/// The pixels of a picture of a known size.
pub(crate) fn rgb(bytes: &[u8], height: usize, width: usize) -> Result<Vec<u8>, &'static str> {
    let mut rest = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n").ok_or(NOT_PNG)?;
    let mut packed = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (kind, after) = after.split_first_chunk::<4>().ok_or(BROKEN)?;
        let (body, after) = after.split_at_checked(length).ok_or(BROKEN)?;
        match kind {
            b"IHDR" => {
                let mut wanted = Vec::from((width as u32).to_be_bytes());
                wanted.extend((height as u32).to_be_bytes());
                // Bit depth 8, colour type 2 (RGB), the only compression and filter methods, not interlaced.
                wanted.extend([8, 2, 0, 0, 0]);
                if body != wanted {
                    return Err("not a picture of 16 × 16 pixels with 8 bits of red, green and blue");
                }
            }
            b"IDAT" => packed.extend_from_slice(body),
            _ => {}
        }
        // A checksum ends every chunk.
        rest = after.get(4..).ok_or(BROKEN)?;
    }
    let stride = width * 3;
    let mut lines = vec![0; height * (stride + 1)];
    ZlibDecoder::new(packed.as_slice()).read_exact(&mut lines).map_err(|_| BROKEN)?;
    unfilter(&lines, stride)
}

/// Undoes the prediction of every line; each begins with the number of its filter.
fn unfilter(lines: &[u8], stride: usize) -> Result<Vec<u8>, &'static str> {
    let mut pixels: Vec<u8> = Vec::with_capacity(lines.len());
    for line in lines.chunks_exact(stride + 1) {
        let start = pixels.len();
        for (x, byte) in line[1..].iter().enumerate() {
            let left = if x >= 3 { pixels[start + x - 3] } else { 0 };
            let above = if start > 0 { pixels[start + x - stride] } else { 0 };
            let corner = if start > 0 && x >= 3 { pixels[start + x - stride - 3] } else { 0 };
            let guess = match line[0] {
                0 => 0,
                1 => left,
                2 => above,
                3 => ((u16::from(left) + u16::from(above)) / 2) as u8,
                4 => paeth(left, above, corner),
                _ => return Err(BROKEN),
            };
            pixels.push(byte.wrapping_add(guess));
        }
    }
    Ok(pixels)
}

/// Whichever of the three lies nearest to left + above − corner.
fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let estimate = i16::from(left) + i16::from(above) - i16::from(corner);
    let distance = |value: u8| (estimate - i16::from(value)).abs();
    let mut best = left;
    for other in [above, corner] {
        if distance(other) < distance(best) {
            best = other;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_is_undone() {
        // Two pixels per line; each line says (10, 20, 30), (40, 50, 60).
        let lines = [
            [0, 10, 20, 30, 40, 50, 60],
            [1, 10, 20, 30, 30, 30, 30],
            [2, 0, 0, 0, 0, 0, 0],
            [3, 5, 10, 15, 15, 15, 15],
            [4, 0, 0, 0, 0, 0, 0],
        ];
        let pixels = unfilter(&lines.concat(), 6).unwrap();
        assert_eq!(pixels, [10, 20, 30, 40, 50, 60].repeat(5));
        assert_eq!(unfilter(&[9, 0, 0, 0], 3), Err(BROKEN));
    }

    #[test]
    fn broken_files_are_refused() {
        assert_eq!(rgb(b"", 16, 16), Err(NOT_PNG));
        assert_eq!(rgb(b"\x89PNG\r\n\x1a\n", 16, 16), Err(BROKEN));
        assert_eq!(rgb(b"\x89PNG\r\n\x1a\n\0\0\0\x09IDATshort", 16, 16), Err(BROKEN));
        assert!(
            rgb(b"\x89PNG\r\n\x1a\n\0\0\0\x01IHDRx\0\0\0\0", 16, 16).unwrap_err().starts_with("not a pic")
        );
    }
}
