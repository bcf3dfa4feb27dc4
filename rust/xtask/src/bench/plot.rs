//! The plots, as SVG: bars beside one another with their limits, and lines over the length of the context.

use super::engines::Engine;
use crate::shell::Result;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::collections::BTreeMap;
use std::fmt::Display;

const SIZE: (u32, u32) = (960, 500);
/// What the title and the legend take.
const HEAD: u32 = 96;
const INK: RGBColor = RGBColor(40, 40, 40);
const PALE: RGBColor = RGBColor(110, 110, 110);
const GRID: RGBColor = RGBColor(225, 225, 225);
const FONT: &str = "sans-serif";

/// Groups of bars, one for each engine.
pub struct Bars<'a> {
    pub title: &'a str,
    /// What and where was measured.
    pub about: &'a str,
    /// Of the vertical axis.
    pub unit: &'a str,
    /// What the limit is.
    pub limit: &'a str,
    pub groups: Vec<Group>,
}

/// Bars that stand together.
pub struct Group {
    /// One or two lines.
    pub label: String,
    pub bars: Vec<(Engine, f64)>,
    /// What no bar can be higher than.
    pub limit: Option<f64>,
}

/// Lines of milliseconds over tokens, in panels.
pub struct Lines<'a> {
    pub title: &'a str,
    pub about: &'a str,
    pub panels: Vec<Panel>,
}

/// Lines that share their axes.
pub struct Panel {
    pub label: String,
    /// The points of each engine, from left to right.
    pub lines: BTreeMap<Engine, Vec<(f64, f64)>>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws bars.
pub fn bars(plot: &Bars) -> Result<String> {
    let engines: Vec<_> = plot.groups.iter().flat_map(|group| group.bars.iter().map(|(engine, _)| *engine)).collect();
    let limit = plot.groups.iter().any(|group| group.limit.is_some()).then_some(plot.limit);
    let heights = plot.groups.iter().flat_map(|group| group.bars.iter().map(|(_, height)| *height).chain(group.limit));
    let top = heights.fold(f64::MIN_POSITIVE, f64::max) * 1.1;
    draw(|root| {
        let body = head(root, plot.title, plot.about, &engines, limit)?;
        let mut chart = chart(&body).build_cartesian_2d(0.0..plot.groups.len() as f64, 0.0..top).map_err(failure)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(0)
            .y_desc(plot.unit)
            .y_label_formatter(&|value| number(*value, top))
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(PALE)
            .label_style((FONT, 13).into_font().color(&INK))
            .draw()
            .map_err(failure)?;
        for (i, group) in plot.groups.iter().enumerate() {
            let (left, width) = (i as f64 + 0.1, 0.8 / group.bars.len().max(1) as f64);
            for (j, (engine, height)) in group.bars.iter().enumerate() {
                let from = left + (j as f64 + 0.06) * width;
                let bar = Rectangle::new([(from, 0.0), (from + 0.88 * width, *height)], colour(*engine).filled());
                chart.draw_series([bar]).map_err(failure)?;
                let (x, y) = chart.backend_coord(&(from + 0.44 * width, *height));
                text(root, &number(*height, *height), (x, y - 3), 12, INK, HPos::Center, VPos::Bottom)?;
            }
            if let Some(limit) = group.limit {
                let ends = [i as f64 + 0.06, i as f64 + 0.94].map(|x| (x, limit));
                chart.draw_series([PathElement::new(ends, INK.stroke_width(2))]).map_err(failure)?;
                let (x, y) = chart.backend_coord(&(i as f64 + 0.94, limit));
                text(root, &number(limit, limit), (x, y - 3), 12, INK, HPos::Right, VPos::Bottom)?;
            }
            for (line, label) in (0..).zip(group.label.lines()) {
                let (x, y) = chart.backend_coord(&(i as f64 + 0.5, 0.0));
                text(root, label, (x, y + 8 + 17 * line), 13, INK, HPos::Center, VPos::Top)?;
            }
        }
        Ok(())
    })
}

/// Draws lines.
pub fn lines(plot: &Lines) -> Result<String> {
    let engines: Vec<_> = plot.panels.iter().flat_map(|panel| panel.lines.keys().copied()).collect();
    draw(|root| {
        let body = head(root, plot.title, plot.about, &engines, None)?;
        let areas = body.split_evenly((1, plot.panels.len().max(1)));
        for (area, Panel { label, lines }) in areas.iter().zip(&plot.panels) {
            let points = || lines.values().flatten();
            let right = points().map(|(x, _)| *x).fold(1.0, f64::max) * 1.05;
            let top = points().map(|(_, y)| *y).fold(f64::MIN_POSITIVE, f64::max) * 1.1;
            let mut chart = chart(area)
                .caption(label, (FONT, 15).into_font().color(&INK))
                .build_cartesian_2d(0.0..right, 0.0..top)
                .map_err(failure)?;
            chart
                .configure_mesh()
                .x_labels(6)
                .x_desc("tokens in the prompt")
                .y_desc("ms a token")
                .x_label_formatter(&|tokens| format!("{tokens:.0}"))
                .y_label_formatter(&|time| number(*time, top))
                .bold_line_style(GRID)
                .light_line_style(TRANSPARENT)
                .axis_style(PALE)
                .label_style((FONT, 13).into_font().color(&INK))
                .draw()
                .map_err(failure)?;
            // The first engine last, so that no other one hides it.
            for (engine, points) in lines.iter().rev() {
                let colour = colour(*engine);
                chart.draw_series([PathElement::new(points.clone(), colour.stroke_width(2))]).map_err(failure)?;
                let dots = points.iter().map(|point| Circle::new(*point, 4, colour.filled()));
                chart.draw_series(dots).map_err(failure)?;
            }
        }
        Ok(())
    })
}

/// A chart with room for its labels.
fn chart<'a, 'b>(area: &'a Area<'b>) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut chart = ChartBuilder::on(area);
    chart.margin_left(20).margin_right(16).margin_bottom(8).x_label_area_size(44).y_label_area_size(76);
    chart
}

/// One colour for each engine, in every plot.
fn colour(engine: Engine) -> RGBColor {
    match engine {
        Engine::Nibble => RGBColor(24, 98, 184),
        Engine::NibbleFull => RGBColor(126, 178, 230),
        Engine::LlamaCpp => RGBColor(224, 122, 48),
        Engine::Candle => RGBColor(120, 160, 80),
    }
}

fn draw(content: impl FnOnce(&Area) -> Result<()>) -> Result<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(failure)?;
        content(&root)?;
        root.present().map_err(failure)?;
    }
    Ok(svg)
}

/// Draws the title and the legend; what is left is for the plot.
fn head<'a>(root: &Area<'a>, title: &str, about: &str, engines: &[Engine], limit: Option<&str>) -> Result<Area<'a>> {
    let (head, body) = root.split_vertically(HEAD);
    text(&head, title, (24, 12), 20, INK, HPos::Left, VPos::Top)?;
    text(&head, about, (24, 40), 13, PALE, HPos::Left, VPos::Top)?;
    let (mut x, y) = (24, 68);
    let mut entry = |name: &str, mark: &dyn Fn(i32) -> Result<()>| {
        mark(x)?;
        text(&head, name, (x + 20, y), 13, INK, HPos::Left, VPos::Top)?;
        // There is no font to ask for its width.
        x += 48 + 6 * name.chars().count() as i32;
        Ok::<_, String>(())
    };
    let mut engines = engines.to_vec();
    engines.sort_unstable();
    engines.dedup();
    for engine in engines {
        entry(engine.name(), &|x| {
            head.draw(&Rectangle::new([(x, y + 1), (x + 13, y + 14)], colour(engine).filled())).map_err(failure)
        })?;
    }
    if let Some(limit) = limit {
        entry(limit, &|x| {
            head.draw(&PathElement::new([(x, y + 8), (x + 14, y + 8)], INK.stroke_width(2))).map_err(failure)
        })?;
    }
    Ok(body)
}

/// With a decimal where there would be one digit or two, in a row of numbers up to `top`.
fn number(value: f64, top: f64) -> String {
    format!("{value:.*}", usize::from(top < 20.0))
}

fn text(
    area: &Area,
    text: &str,
    at: (i32, i32),
    size: i32,
    colour: RGBColor,
    horizontal: HPos,
    vertical: VPos,
) -> Result<()> {
    let style = (FONT, size).into_text_style(area).color(&colour).pos(Pos::new(horizontal, vertical));
    area.draw_text(text, &style, at).map_err(failure)
}

fn failure(error: impl Display) -> String {
    format!("drawing a plot: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGINES: [Engine; 4] = [Engine::Nibble, Engine::NibbleFull, Engine::LlamaCpp, Engine::Candle];

    /// The texts of an SVG, each on a line of its own.
    fn has(svg: &str, text: &str) -> bool {
        svg.lines().any(|line| line == text)
    }

    fn hex(engine: Engine) -> String {
        let RGBColor(r, g, b) = colour(engine);
        format!("#{r:02X}{g:02X}{b:02X}")
    }

    #[test]
    fn bars_have_their_names_colours_values_and_limits() {
        let bars_of = |height: f64| ENGINES.into_iter().zip((0..).map(|i| height + f64::from(i))).collect();
        let groups = vec![
            Group { label: "1 thread\nprompt 128".to_owned(), bars: bars_of(100.0), limit: Some(250.0) },
            Group { label: "2 threads\nprompt 128".to_owned(), bars: bars_of(200.0), limit: Some(350.0) },
        ];
        let plot = Bars { title: "Decode", about: "a model", unit: "tok/s", limit: "the limit", groups };
        let svg = bars(&plot).unwrap();
        for expected in ["Decode", "a model", "tok/s", "the limit", "1 thread", "2 threads", "prompt 128", "250", "350"]
        {
            assert!(has(&svg, expected), "{expected}");
        }
        for (i, engine) in ENGINES.into_iter().enumerate() {
            assert!(
                has(&svg, engine.name()) && has(&svg, &format!("{}", 100 + i)) && has(&svg, &format!("{}", 200 + i))
            );
            // Once in the legend and once in each group.
            assert_eq!(svg.matches(&hex(engine)).count(), 3, "{}", engine.name());
        }
    }

    #[test]
    fn lines_have_a_dot_for_every_point() {
        let line = |i: usize| [128.0, 1024.0].map(|x| (x, x / 100.0 + i as f64)).to_vec();
        let lines_of: BTreeMap<_, _> = ENGINES.into_iter().zip((0..).map(line)).collect();
        let panel = |label: &str| Panel { label: label.to_owned(), lines: lines_of.clone() };
        let panels = vec![panel("1 thread"), panel("2 threads")];
        let svg = lines(&Lines { title: "Latency", about: "a model", panels }).unwrap();
        for expected in ["Latency", "1 thread", "2 threads", "tokens in the prompt", "ms a token"] {
            assert!(has(&svg, expected), "{expected}");
        }
        assert_eq!(svg.matches("<circle").count(), 2 * 2 * ENGINES.len());
        // Once in the legend, and in each panel a line and two dots.
        assert!(ENGINES.iter().all(|&engine| has(&svg, engine.name()) && svg.matches(&hex(engine)).count() >= 7));
    }
}
