//! Where the hosts go.

use crate::rect::{Rect, Size};

/// A grid of 16:9 cells for `hosts` hosts, in their order, row by row: as square as it goes, with thin gaps, the
/// last row centred. The same arguments give the same rectangles; all of them lie inside the canvas, and no two
/// overlap.
#[must_use]
pub fn grid(hosts: usize, canvas: Size) -> Vec<Rect> {
    let canvas_rect = Rect::of(canvas);
    if hosts == 0 || canvas_rect.is_empty() {
        return Vec::new();
    }
    let columns = (1..=hosts)
        .find(|columns| columns * columns >= hosts)
        .unwrap_or(hosts);
    let rows = hosts.div_ceil(columns);
    let gap = if hosts == 1 { 0 } else { gap(canvas_rect.size()) };
    let cell = cell(canvas_rect.size(), columns, rows, gap);
    if cell.width < 2 || cell.height < 2 {
        return Vec::new();
    }
    let block = span(rows, cell.height, gap);
    let top = (canvas_rect.height - block) / 4 * 2;
    (0..hosts)
        .map(|host| {
            let (row, column) = (host / columns, host % columns);
            let in_row = columns.min(hosts - row * columns);
            let left = (canvas_rect.width - span(in_row, cell.width, gap)) / 4 * 2;
            Rect {
                x: left + column * (cell.width + gap),
                y: top + row * (cell.height + gap),
                width: cell.width,
                height: cell.height,
            }
        })
        .collect()
}

/// About 1/160 of the width, even.
fn gap(canvas: Size) -> usize {
    canvas.width / 320 * 2
}

/// The length of `count` cells with the gaps between them.
fn span(count: usize, cell: usize, gap: usize) -> usize {
    count * cell + count.saturating_sub(1) * gap
}

/// The largest even 16:9 cell of which `columns` times `rows` fit.
fn cell(canvas: Size, columns: usize, rows: usize, gap: usize) -> Size {
    let width = canvas.width.saturating_sub((columns - 1) * gap) / columns;
    let height = canvas.height.saturating_sub((rows - 1) * gap) / rows;
    let room = Size::new(width - width % 2, height - height % 2);
    if room.is_empty() {
        Size::default()
    } else {
        Size::new(16, 9).scaled_into(room)
    }
}

#[cfg(test)]
mod tests {
    use super::grid;
    use crate::rect::{Rect, Size};
    use proptest::prelude::proptest;

    const HD: Size = Size::new(1280, 720);

    fn corners(hosts: usize) -> Vec<(usize, usize)> {
        grid(hosts, HD).into_iter().map(|rect| (rect.x, rect.y)).collect()
    }

    fn cell(hosts: usize) -> (usize, usize) {
        let first = grid(hosts, HD)[0];
        (first.width, first.height)
    }

    #[test]
    fn one_host_has_all_of_the_canvas() {
        assert_eq!(grid(1, HD), [Rect::of(HD)]);
    }

    #[test]
    fn two_hosts_sit_side_by_side_in_the_middle() {
        assert_eq!(cell(2), (636, 358));
        assert_eq!(corners(2), [(0, 180), (644, 180)]);
    }

    #[test]
    fn the_third_host_is_centred_below() {
        assert_eq!(cell(3), cell(4));
        assert_eq!(corners(3), [(4, 0), (644, 0), (324, 364)]);
    }

    #[test]
    fn four_hosts_fill_the_canvas() {
        assert_eq!(cell(4), (632, 356));
        assert_eq!(corners(4), [(4, 0), (644, 0), (4, 364), (644, 364)]);
    }

    #[test]
    fn five_hosts_are_three_and_two() {
        assert_eq!(cell(5), (420, 236));
        let rows: Vec<usize> = grid(5, HD).iter().map(|rect| rect.y).collect();
        assert_eq!(rows.iter().filter(|y| **y == rows[0]).count(), 3);
        assert_eq!(grid(5, HD)[3].x, (1280 - 2 * 420 - 8) / 4 * 2);
    }

    #[test]
    fn nine_hosts_are_three_rows_of_three() {
        assert_eq!(cell(9), (416, 234));
        assert_eq!(
            grid(9, HD)
                .iter()
                .map(|rect| rect.y)
                .collect::<std::collections::BTreeSet<_>>()
                .len(),
            3
        );
    }

    #[test]
    fn nobody_or_no_canvas_is_no_layout() {
        assert!(grid(0, HD).is_empty());
        assert!(grid(4, Size::new(3, 3)).is_empty());
        assert!(grid(4, Size::new(0, 720)).is_empty());
    }

    proptest! {
        #[test]
        fn cells_are_even_equal_inside_and_apart(
            hosts in 1usize..40, width in 2usize..4096, height in 2usize..2160,
        ) {
            let canvas = Size::new(width, height);
            let rects = grid(hosts, canvas);
            for (index, rect) in rects.iter().enumerate() {
                assert_eq!(rect.intersection(Rect::of(canvas)), *rect);
                assert_eq!(rect.size(), rects[0].size());
                assert!([rect.x, rect.y, rect.width, rect.height].iter().all(|value| value % 2 == 0));
                assert!(rects[..index].iter().all(|other| rect.intersection(*other).is_empty()));
            }
        }
    }
}
