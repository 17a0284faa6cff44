//! Boards as pictures: one pixel per cell in the original's colours, or 16 × 16 pixels per cell.

use std::io::Cursor;
use std::path::Path;

use sha1::{Digest, Sha1};
use stepladder_env::EnvError;

use crate::board::{Board, Tile};

/// Side length of a tile in pixels.
pub const SIDE: usize = 16;

/// The original's colours (red, green, blue) of one-pixel cells, by tile number.
pub const COLOURS: [[u8; 3]; 7] = [
    [0, 0, 0],
    [243, 248, 238],
    [254, 126, 125],
    [254, 95, 56],
    [142, 121, 56],
    [160, 212, 56],
    [219, 212, 56],
];

/// File names of the original's tiles, by tile number.
const FILES: [&str; 7] = [
    "wall.png",
    "floor.png",
    "box_target.png",
    "box_on_target.png",
    "box.png",
    "player.png",
    "player_on_target.png",
];

/// An RGB picture of `height * width` pixels, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// `height * width * 3` bytes.
    pub pixels: Vec<u8>,
}

impl Frame {
    /// Draws one pixel per cell, in the original's colours.
    ///
    /// ```
    /// use stepladder_sokoban::{Board, Frame};
    /// let board: Board = "#####\n#PXO#\n#####".parse()?;
    /// let frame = Frame::tiny(&board);
    /// assert_eq!((frame.height, frame.width), (3, 5));
    /// assert_eq!(frame.pixels[18..21], [160, 212, 56]);
    /// # Ok::<(), stepladder_sokoban::BoardError>(())
    /// ```
    pub fn tiny(board: &Board) -> Self {
        let pixels = board.tiles().flat_map(|tile| COLOURS[tile as usize]).collect();
        Self { height: board.rows(), width: board.cols(), pixels }
    }

    /// Draws [`SIDE`] × [`SIDE`] pixels per cell.
    pub fn large(board: &Board, tiles: &Tiles) -> Self {
        let (height, width) = (board.rows() * SIDE, board.cols() * SIDE);
        let mut pixels = vec![0; height * width * 3];
        for (number, tile) in board.tiles().enumerate() {
            let (row, col) = (number / board.cols(), number % board.cols());
            for (y, line) in tiles.0[tile as usize].chunks_exact(SIDE * 3).enumerate() {
                let start = ((row * SIDE + y) * width + col * SIDE) * 3;
                pixels[start..start + SIDE * 3].copy_from_slice(line);
            }
        }
        Self { height, width, pixels }
    }

    /// Returns the SHA-1 of the pixels in hexadecimal, as in transcripts of the original.
    pub fn sha1(&self) -> String {
        Sha1::digest(&self.pixels).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Pictures of all tiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tiles([Vec<u8>; 7]);

impl Tiles {
    /// Draws Stepladder's own tiles: bricks, plain floor, rings for targets, framed boxes, a disc for the player.
    pub fn own() -> Self {
        Self(Tile::ALL.map(|tile| {
            let pixels = (0..SIDE * SIDE).flat_map(|number| pixel(tile, number / SIDE, number % SIDE));
            pixels.collect()
        }))
    }

    /// Loads the tiles of an installed gym-sokoban: the seven files of its folder `surface`.
    ///
    /// # Errors
    /// [`EnvError::Data`] with the file that is missing or is not a 16 × 16 RGB picture.
    pub fn load(folder: &Path) -> Result<Self, EnvError> {
        let mut tiles = Self(Default::default());
        for (tile, name) in tiles.0.iter_mut().zip(FILES) {
            let path = folder.join(name);
            let data = |reason: String| EnvError::Data { path: path.clone(), reason };
            let bytes = fs_err::read(&path)
                .map_err(|error| data(format!("cannot read a tile of gym-sokoban: {error}")))?;
            *tile = rgb(bytes).map_err(data)?;
        }
        Ok(tiles)
    }
}

/// Decodes a PNG file of [`SIDE`] × [`SIDE`] pixels with 8 bits per colour channel.
fn rgb(file: Vec<u8>) -> Result<Vec<u8>, String> {
    let broken = |error: png::DecodingError| format!("not a readable PNG file: {error}");
    let mut reader = png::Decoder::new(Cursor::new(file)).read_info().map_err(broken)?;
    let info = reader.info();
    let (size, format) = (info.size(), (info.color_type, info.bit_depth));
    if size != (SIDE as u32, SIDE as u32) || format != (png::ColorType::Rgb, png::BitDepth::Eight) {
        return Err(format!(
            "a picture of {} × {} pixels, {:?}, {:?} bits; tiles have {SIDE} × {SIDE} pixels, Rgb, Eight bits",
            size.0, size.1, format.0, format.1
        ));
    }
    let mut pixels = vec![0; SIDE * SIDE * 3];
    reader.next_frame(&mut pixels).map_err(broken)?;
    Ok(pixels)
}

/// Colour of one pixel of Stepladder's own tiles.
fn pixel(tile: Tile, y: usize, x: usize) -> [u8; 3] {
    let floor = COLOURS[Tile::Floor as usize];
    // Squared distance from the centre, in half pixels.
    let distance = (2 * y).abs_diff(SIDE - 1).pow(2) + (2 * x).abs_diff(SIDE - 1).pow(2);
    let edge = y.min(SIDE - 1 - y).min(x.min(SIDE - 1 - x));
    let ground = |target: bool| {
        if target && (49..=121).contains(&distance) { COLOURS[Tile::Target as usize] } else { floor }
    };
    let boxed = |colour: [u8; 3]| match edge {
        0 => floor,
        1 | 2 => colour.map(|part| part / 2),
        _ if y == x || y + x == SIDE - 1 => colour.map(|part| part / 2),
        _ => colour,
    };
    match tile {
        Tile::Wall => {
            let joint = y % 4 == 3 || (x + y / 4 % 2 * 4) % 8 == 7;
            if joint { [60, 60, 66] } else { [120, 118, 124] }
        }
        Tile::Floor => floor,
        Tile::Target => ground(true),
        Tile::BoxOnTarget => boxed(COLOURS[Tile::BoxOnTarget as usize]),
        Tile::Box => boxed(COLOURS[Tile::Box as usize]),
        Tile::Player | Tile::PlayerOnTarget => {
            if distance < 49 {
                COLOURS[Tile::Player as usize]
            } else {
                ground(tile == Tile::PlayerOnTarget)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_tiles_can_be_told_apart_and_fill_their_cells() {
        let tiles = Tiles::own();
        for (number, tile) in tiles.0.iter().enumerate() {
            assert_eq!(tile.len(), SIDE * SIDE * 3);
            assert!(tiles.0[..number].iter().all(|other| other != tile), "{number}");
        }
        let board: Board = "######\n#PXSO#\n######".replace('S', "_").parse().unwrap();
        let frame = Frame::large(&board, &tiles);
        assert_eq!((frame.height, frame.width, frame.pixels.len()), (48, 96, 48 * 96 * 3));
        // Centres of the box and of the player.
        let at = |y: usize, x: usize| &frame.pixels[(y * 96 + x) * 3..][..3];
        assert_eq!(at(24, 24), COLOURS[Tile::Player as usize]);
        assert_eq!(at(20, 40), COLOURS[Tile::Box as usize]);
    }

    /// Encodes pixels as a PNG file.
    fn png_file(side: u32, colours: png::ColorType, pixels: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, side, side);
        encoder.set_color(colours);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header().unwrap().write_image_data(pixels).unwrap();
        file
    }

    #[test]
    fn tiles_are_read_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let own = Tiles::own();
        for (name, pixels) in FILES.iter().zip(&own.0) {
            let file = png_file(SIDE as u32, png::ColorType::Rgb, pixels);
            fs_err::write(folder.path().join(name), file).unwrap();
        }
        assert_eq!(Tiles::load(folder.path()).unwrap(), own);
    }

    #[test]
    fn a_tile_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let complaint = || Tiles::load(folder.path()).unwrap_err().to_string();
        let error = complaint();
        assert!(error.contains("wall.png: cannot read a tile of gym-sokoban"), "{error}");
        let whole = png_file(SIDE as u32, png::ColorType::Rgb, &[7; SIDE * SIDE * 3]);
        for broken in
            [b"not a picture".as_slice(), b"", &whole[..8], &whole[..40], &whole[..whole.len() - 20]]
        {
            fs_err::write(folder.path().join("wall.png"), broken).unwrap();
            let error = complaint();
            assert!(error.contains("wall.png: not a readable PNG file: "), "{error}");
        }
        for (side, colours, channels) in [(8, png::ColorType::Rgb, 3), (16, png::ColorType::Rgba, 4)] {
            let pixels = vec![7; side * side * channels];
            let file = png_file(side as u32, colours, &pixels);
            fs_err::write(folder.path().join("wall.png"), file).unwrap();
            let error = complaint();
            let wanted =
                format!("wall.png: a picture of {side} × {side} pixels, {colours:?}, Eight bits; tiles have");
            assert!(error.contains(&wanted), "{error}");
        }
    }
}
