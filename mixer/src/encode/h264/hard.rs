//! Pictures that are hard to code, always the same: confetti, a zoom, grain, and cuts between them.

use openh264::formats::YUVBuffer;

pub(super) const WIDTH: usize = 640;
pub(super) const HEIGHT: usize = 360;

/// Pictures from one cut to the next.
const SCENE: usize = 40;

/// The side of a piece of confetti.
const PIECE: usize = 12;

/// The side of the texture that is zoomed into.
const TEXTURE: usize = 256;

/// A generator of pictures.
pub(super) struct Hard {
    random: u64,
    index: usize,
    pieces: Vec<Piece>,
    texture: Vec<u8>,
}

struct Piece {
    x: usize,
    y: usize,
    right: usize,
    down: usize,
    luma: u8,
}

impl Hard {
    pub(super) fn new() -> Self {
        Self {
            random: 0x1234_5678_9abc_def1,
            index: 0,
            pieces: Vec::new(),
            texture: Vec::new(),
        }
    }

    /// The next picture.
    pub(super) fn picture(&mut self) -> YUVBuffer {
        if self.index.is_multiple_of(SCENE) {
            self.cut();
        }
        let mut i420 = vec![128; WIDTH * HEIGHT * 3 / 2];
        let (luma, chroma) = i420.split_at_mut(WIDTH * HEIGHT);
        match self.index / SCENE % 3 {
            0 => self.confetti(luma, chroma),
            1 => self.zoom(luma),
            _ => self.grain(luma),
        }
        self.index += 1;
        YUVBuffer::from_vec(i420, WIDTH, HEIGHT)
    }

    fn cut(&mut self) {
        self.texture = (0..TEXTURE * TEXTURE).map(|_| self.below(256) as u8).collect();
        self.pieces = (0..WIDTH * HEIGHT / 900)
            .map(|_| Piece {
                x: self.below(WIDTH),
                y: self.below(HEIGHT),
                right: self.below(9) + WIDTH - 4,
                down: 2 + self.below(8),
                luma: self.below(256) as u8,
            })
            .collect();
    }

    fn confetti(&mut self, luma: &mut [u8], chroma: &mut [u8]) {
        luma.fill(40);
        for piece in &mut self.pieces {
            piece.x = (piece.x + piece.right) % WIDTH;
            piece.y = (piece.y + piece.down) % HEIGHT;
            for y in piece.y..(piece.y + PIECE).min(HEIGHT) {
                for x in piece.x..(piece.x + PIECE).min(WIDTH) {
                    luma[y * WIDTH + x] = piece.luma;
                    chroma[y / 2 * (WIDTH / 2) + x / 2] = piece.luma.wrapping_mul(7);
                }
            }
        }
    }

    fn zoom(&self, luma: &mut [u8]) {
        // In 1/256 of a pixel, from 2.7 pixels for each of the texture on.
        let step = 95 - self.index % SCENE;
        for (y, row) in luma.chunks_exact_mut(WIDTH).enumerate() {
            let line = ((y * step) >> 8) % TEXTURE * TEXTURE;
            for (x, sample) in row.iter_mut().enumerate() {
                *sample = self.texture[line + ((x * step) >> 8) % TEXTURE];
            }
        }
    }

    /// A gradient that moves, with the noise of a camera in the dark.
    fn grain(&mut self, luma: &mut [u8]) {
        for (at, sample) in luma.iter_mut().enumerate() {
            let (x, y) = (at % WIDTH, at / WIDTH);
            *sample = (60 + (x + y + 3 * self.index) % 512 / 5 + self.below(33)) as u8;
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 32) as usize % bound
    }
}
