//! The picture of an evaluation, as SVG: what the next word claims and what comes true, the words among three by the letters
//! typed, and what autocorrection would be if its gate asked for other odds.

use std::fmt::Display;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use nibble_tasks::keyboard::evaluation::{Evaluation, ODDS_IN_USE};
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::failure::{Failure, Result};
use crate::store;

const SIZE: (u32, u32) = (1380, 500);
/// What the title takes.
const HEAD: u32 = 66;
const INK: RGBColor = RGBColor(40, 40, 40);
const PALE: RGBColor = RGBColor(110, 110, 110);
const GRID: RGBColor = RGBColor(225, 225, 225);
const LINE: RGBColor = RGBColor(24, 98, 184);
const MARK: RGBColor = RGBColor(224, 122, 48);
const FONT: &str = "sans-serif";

/// A folder for pictures.
pub struct Plots<'a> {
    folder: &'a Path,
}

impl<'a> Plots<'a> {
    /// Pictures of `files` in a folder, which is made if there is none. What would keep them from being written is found out now, not
    /// when everything was typed.
    pub fn into(folder: &'a Path, files: &[PathBuf]) -> Result<Self> {
        let plots = Self { folder };
        let tried = fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
        tried.map_err(|error| plots.unwritable(&error))?;
        let mut names: Vec<PathBuf> = files.iter().map(|file| plots.path(file)).collect();
        names.sort();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(Failure::Usage(format!(
                "two of the files would be drawn as {}; give --plot files of different names",
                pair[0].display()
            ))),
            None => Ok(plots),
        }
    }

    /// Draws what was found on the messages of a file.
    pub fn save(&self, file: &Path, evaluation: &Evaluation) -> Result<()> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let svg = draw(&name, evaluation).map_err(Failure::Failed)?;
        let path = self.path(file);
        store::write_whole(&path, svg.as_bytes()).map_err(|error| self.unwritable(&error))
    }

    fn path(&self, file: &Path) -> PathBuf {
        let mut name = file.file_stem().unwrap_or_default().to_owned();
        name.push(".svg");
        self.folder.join(name)
    }

    fn unwritable(&self, error: &io::Error) -> Failure {
        let folder = self.folder.display();
        Failure::Failed(format!("cannot write to {folder}: {error}; give --plot a folder that can be written to"))
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Point = (f64, f64);

fn draw(name: &str, e: &Evaluation) -> Result<String, String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(failure)?;
        let (head, body) = root.split_vertically(HEAD);
        text(&head, name, (24, 12), 20, INK, HPos::Left, VPos::Top)?;
        let about = format!("{} messages, {} words", e.messages, e.next_word_top1.of);
        text(&head, &about, (24, 40), 13, PALE, HPos::Left, VPos::Top)?;
        let [left, middle, right] = <[_; 3]>::try_from(body.split_evenly((1, 3))).map_err(|_| "three panels")?;
        reliability(&left, e)?;
        completion(&middle, e)?;
        autocorrection(&right, e)?;
        root.present().map_err(failure)?;
    }
    Ok(svg)
}

/// What the next word claims, and what comes true; how many there are beside each point.
fn reliability(area: &Area, e: &Evaluation) -> Result<(), String> {
    let axes = ["probability that the first word claims", "share of these that are right"];
    let mut chart = panel(area, "Next word: claimed and true", axes, 0.0..100.0, "%")?;
    line(&mut chart, vec![(0.0, 0.0), (100.0, 100.0)], GRID)?;
    let bins: Vec<_> = e.calibration.iter().filter(|bin| bin.right.of > 0).collect();
    let points: Vec<Point> =
        bins.iter().map(|bin| (100.0 * bin.claimed / bin.right.of as f64, 100.0 * bin.right.ratio())).collect();
    line(&mut chart, points.clone(), LINE)?;
    for (bin, point) in bins.iter().zip(points) {
        dot(&mut chart, point, 4, LINE)?;
        label(area, &chart, point, &bin.right.of.to_string(), HPos::Center, VPos::Bottom)?;
    }
    Ok(())
}

/// How often the word is among three, before its first letter and after each.
fn completion(area: &Area, e: &Evaluation) -> Result<(), String> {
    let axes = ["letters typed", "words that are among three"];
    let shares = [e.next_word_top3].into_iter().chain(e.completion_top3);
    let points: Vec<Point> =
        shares.enumerate().map(|(letters, share)| (letters as f64, 100.0 * share.ratio())).collect();
    let mut chart = panel(area, "Next word and completion", axes, -0.3..points.len() as f64 - 0.7, "")?;
    line(&mut chart, points.clone(), LINE)?;
    for point in points {
        dot(&mut chart, point, 4, LINE)?;
        label(area, &chart, point, &format!("{:.1}", point.1), HPos::Center, VPos::Bottom)?;
    }
    Ok(())
}

/// Precision against recall while the odds that the gate asks for fall, and where it stands.
fn autocorrection(area: &Area, e: &Evaluation) -> Result<(), String> {
    let axes = ["recall: errors that are mended", "precision: changes that are right"];
    let mut chart = panel(area, "Autocorrection, by the odds it asks for", axes, 0.0..100.0, "%")?;
    if e.corrections.wrong + e.corrections.right == 0 {
        return label(area, &chart, (50.0, 50.0), "no errors were typed", HPos::Center, VPos::Center);
    }
    let curve = e.gate_curve();
    line(&mut chart, curve.iter().map(|point| (100.0 * point.recall, 100.0 * point.precision)).collect(), LINE)?;
    let used = (100.0 * e.corrections.recall(), 100.0 * e.corrections.precision());
    dot(&mut chart, used, 6, MARK)?;
    // On the side where there is room for it.
    let (side, aside) = if used.0 > 50.0 { (HPos::Right, -3.0) } else { (HPos::Left, 3.0) };
    let odds = format!("in use: {:.0} to 1", ODDS_IN_USE.exp());
    label(area, &chart, (used.0 + aside, used.1 - 2.0), &odds, side, VPos::Top)
}

/// Axes: these values across, in a unit, and shares up to 100 %, with room for a label above.
fn panel<'a, 'b>(
    area: &'a Area<'b>,
    title: &str,
    [x, y]: [&str; 2],
    across: Range<f64>,
    unit: &str,
) -> Result<Chart<'a, 'b>, String> {
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 15).into_font().color(&INK))
        .margin_left(12)
        .margin_right(28)
        .margin_bottom(8)
        .x_label_area_size(44)
        .y_label_area_size(68)
        .build_cartesian_2d(across, 0.0..104.0)
        .map_err(failure)?;
    chart
        .configure_mesh()
        .x_labels(6)
        .y_labels(6)
        .x_desc(x)
        .y_desc(y)
        .x_label_formatter(&|value| format!("{value:.0} {unit}").trim_end().to_owned())
        .y_label_formatter(&|share| format!("{share:.0} %"))
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(PALE)
        .label_style((FONT, 13).into_font().color(&INK))
        .draw()
        .map_err(failure)?;
    Ok(chart)
}

fn line(chart: &mut Chart, points: Vec<Point>, colour: RGBColor) -> Result<(), String> {
    chart.draw_series([PathElement::new(points, colour.stroke_width(2))]).map(drop).map_err(failure)
}

fn dot(chart: &mut Chart, point: Point, size: u32, colour: RGBColor) -> Result<(), String> {
    chart.draw_series([Circle::new(point, size, colour.filled())]).map(drop).map_err(failure)
}

/// Writes beside a point of a chart.
fn label(area: &Area, chart: &Chart, point: Point, words: &str, x: HPos, y: VPos) -> Result<(), String> {
    let (right, down) = chart.backend_coord(&point);
    let (left, top) = area.get_pixel_range();
    let above = if let VPos::Bottom = y { 6 } else { 0 };
    text(area, words, (right - left.start, down - top.start - above), 12, INK, x, y)
}

fn text(
    area: &Area,
    text: &str,
    at: (i32, i32),
    size: i32,
    colour: RGBColor,
    horizontal: HPos,
    vertical: VPos,
) -> Result<(), String> {
    let style = (FONT, size).into_text_style(area).color(&colour).pos(Pos::new(horizontal, vertical));
    area.draw_text(text, &style, at).map_err(failure)
}

fn failure(error: impl Display) -> String {
    format!("drawing a plot: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    use nibble_tasks::keyboard::evaluation::{Bin, Change, Corrections, Share};

    fn evaluation() -> Evaluation {
        let mut e = Evaluation { messages: 2, next_word_top3: Share { hits: 1, of: 4 }, ..Evaluation::default() };
        e.completion_top3 = [1, 2, 3, 4].map(|hits| Share { hits, of: 8 });
        e.calibration[1] = Bin { right: Share { hits: 57, of: 321 }, claimed: 48.0 };
        e.calibration[8] = Bin { right: Share { hits: 3, of: 4 }, claimed: 3.4 };
        e.corrections = Corrections { wrong: 4, mended: 2, missed: 1, right: 9, spoiled: 0 };
        let change = |(odds, word): (f64, &str)| {
            let (typed, meant) = ("teh".to_owned(), "the".to_owned());
            Change { typed, word: word.to_owned(), meant, odds, listed: true }
        };
        e.changes = [(5.0, "the"), (4.0, "tea"), (3.5, "the"), (1.0, "the")].map(change).into();
        e
    }

    /// Whether an SVG has a text; each is on a line of its own.
    fn has(svg: &str, text: &str) -> bool {
        svg.lines().any(|line| line == text)
    }

    #[test]
    fn every_figure_is_in_the_picture() {
        let svg = draw("a&b.txt", &evaluation()).unwrap();
        for expected in [
            "a&amp;b.txt",
            "2 messages, 0 words",
            "probability that the first word claims",
            "321",
            "letters typed",
            "0",
            "4",
            "25.0",
            "50.0",
            "recall: errors that are mended",
            "in use: 55 to 1",
        ] {
            assert!(has(&svg, expected), "{expected}");
        }
        // Two bins, five numbers of letters, and where the gate stands.
        assert_eq!(svg.matches("<circle").count(), 2 + 5 + 1);
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn what_was_not_measured_is_not_drawn() {
        let svg = draw("none", &Evaluation::default()).unwrap();
        assert!(has(&svg, "no errors were typed") && !svg.contains("in use"), "{svg}");
    }

    #[test]
    fn a_picture_takes_the_place_of_an_earlier_one_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("new/plots");
        let file = PathBuf::from("some/messages.txt");
        let plots = Plots::into(&inner, std::slice::from_ref(&file)).unwrap();
        plots.save(&file, &Evaluation::default()).unwrap();
        plots.save(&file, &evaluation()).unwrap();
        let names: Vec<_> = fs::read_dir(&inner).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["messages.svg"]);
        assert!(has(&fs::read_to_string(inner.join("messages.svg")).unwrap(), "321"));
        let both = [file, "other/messages.jsonl".into()];
        assert!(matches!(Plots::into(&inner, &both), Err(Failure::Usage(why)) if why.contains("messages.svg")));
    }
}
