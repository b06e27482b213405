//! A small page of tables and plots: escaped HTML with inline SVG, no scripts, nothing from elsewhere, light and dark.

use std::fmt::Write as _;

/// Most bins of a histogram.
const BINS: usize = 30;
/// Width of every plot, in the SVG's own units.
const WIDTH: f64 = 720.0;
const STYLE: &str = ":root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--soft:#8b949e;--c0:#2166ac;--c1:#d6604d;\
    --c2:#4d9221;--c3:#8073ac;--c4:#b8860b;--c5:#35978f}\
    @media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--paper:#12161b;--soft:#7d8590;--c0:#6cb2eb;--c1:#f4a582;\
    --c2:#a6d96a;--c3:#b2abd2;--c4:#e6c35c;--c5:#80cdc1}}\
    body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem;color:var(--ink);\
    background:var(--paper)}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25rem .6rem;\
    border-bottom:1px solid var(--soft)}svg{width:100%;height:auto}svg text{font-size:12px;fill:var(--ink)}\
    .c0{fill:var(--c0)}.c1{fill:var(--c1)}.c2{fill:var(--c2)}.c3{fill:var(--c3)}.c4{fill:var(--c4)}.c5{fill:var(--c5)}\
    .cell{fill:none;stroke:var(--soft)}";

/// A page in the making.
#[derive(Debug, Clone)]
pub struct Page {
    html: String,
}

/// A named value for each hour of a day.
pub type Hours = (String, [f64; 24]);

impl Page {
    #[must_use]
    pub fn new(title: &str) -> Self {
        let title = escaped(title);
        Self {
            html: format!(
                "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
                 <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
                 <style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
            ),
        }
    }
    pub fn text(&mut self, text: &str) {
        self.add(format_args!("<p>{}</p>\n", escaped(text)));
    }
    pub fn table<S: AsRef<str>>(&mut self, headers: &[&str], rows: &[Vec<S>]) {
        self.add(format_args!("<table><tr>"));
        for header in headers {
            self.add(format_args!("<th>{}</th>", escaped(header)));
        }
        for row in rows {
            self.add(format_args!("</tr>\n<tr>"));
            for cell in row {
                self.add(format_args!("<td>{}</td>", escaped(cell.as_ref())));
            }
        }
        self.add(format_args!("</tr></table>\n"));
    }
    /// Horizontal bars; what is not a number from 0 up is drawn as nothing.
    pub fn bars<S: AsRef<str>>(&mut self, title: &str, unit: &str, bars: &[(S, f64)]) {
        let most = most(bars.iter().map(|(_, v)| *v));
        self.plot(title, 24.0 * bars.len() as f64);
        for (n, (label, value)) in bars.iter().enumerate() {
            let value = drawable(*value);
            let (y, width) = (24.0 * n as f64, (WIDTH - 330.0) * value / most);
            self.add(format_args!(
                "<text x=\"0\" y=\"{:.0}\">{}</text><rect class=\"c0\" x=\"250\" y=\"{:.0}\" width=\"{width:.1}\" \
                 height=\"16\"/><text x=\"{:.1}\" y=\"{:.0}\">{value:.1} {}</text>",
                y + 16.0,
                escaped(label.as_ref()),
                y + 4.0,
                256.0 + width,
                y + 16.0,
                escaped(unit)
            ));
        }
        self.end_plot();
    }
    /// How often values fall into each of up to 30 equal bins; what is not finite is left out.
    pub fn histogram(&mut self, title: &str, unit: &str, values: &[f64]) {
        let values: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        let (Some(low), Some(high)) =
            (values.iter().copied().reduce(f64::min), values.iter().copied().reduce(f64::max))
        else {
            return self.text(&format!("{title}: no values"));
        };
        let mut bins = [0_u32; BINS];
        let span = (high - low).max(f64::MIN_POSITIVE);
        for value in &values {
            // A cast from a float saturates; the last bin holds its upper edge.
            bins[(((value - low) / span * BINS as f64) as usize).min(BINS - 1)] += 1;
        }
        let (step, tallest) = (WIDTH / BINS as f64, most(bins.iter().map(|b| f64::from(*b))));
        self.plot(title, 160.0);
        for (n, bin) in bins.iter().enumerate() {
            let height = 130.0 * f64::from(*bin) / tallest;
            self.rect(0, step * n as f64, 135.0 - height, step - 1.0, height);
        }
        self.add(format_args!(
            "<text x=\"0\" y=\"154\">{low:.1} {u}</text><text x=\"{WIDTH}\" y=\"154\" text-anchor=\"end\">{high:.1} {u}, \
             {} values</text>",
            values.len(),
            u = escaped(unit)
        ));
        self.end_plot();
    }
    /// One column for each hour, the series on top of each other.
    pub fn stacked_by_hour(&mut self, title: &str, series: &[Hours]) {
        let tallest = most((0..24).map(|h| series.iter().map(|(_, v)| drawable(v[h])).sum()));
        let legend = 20.0 * series.len() as f64;
        self.plot(title, 170.0 + legend);
        let step = WIDTH / 24.0;
        for hour in 0..24 {
            let mut y = 140.0;
            for (n, (_, values)) in series.iter().enumerate() {
                let height = 130.0 * drawable(values[hour]) / tallest;
                y -= height;
                self.rect(n, step * hour as f64, y, step - 2.0, height);
            }
            if hour % 3 == 0 {
                self.add(format_args!("<text x=\"{:.1}\" y=\"156\">{hour:02}:00</text>", step * hour as f64));
            }
        }
        for (n, (name, _)) in series.iter().enumerate() {
            let y = 166.0 + 20.0 * n as f64;
            self.rect(n, 0.0, y, 12.0, 12.0);
            self.add(format_args!("<text x=\"18\" y=\"{:.0}\">{}</text>", y + 11.0, escaped(name)));
        }
        self.end_plot();
    }
    /// Points (latitude, longitude, class 0 to 5) and outlines of cells (latitude, longitude), degrees; north is up.
    pub fn map(&mut self, title: &str, points: &[(f64, f64, usize)], cells: &[Vec<(f64, f64)>]) {
        let all = || points.iter().map(|p| (p.0, p.1)).chain(cells.iter().flatten().copied());
        let finite = || all().filter(|(a, b)| a.is_finite() && b.is_finite());
        let Some(first) = finite().next() else { return self.text(&format!("{title}: nothing to draw")) };
        let (low, high) = finite().fold((first, first), |(low, high), p| {
            ((low.0.min(p.0), low.1.min(p.1)), (high.0.max(p.0), high.1.max(p.1)))
        });
        let shrink = f64::midpoint(low.0, high.0).to_radians().cos().max(0.01);
        let scale = WIDTH / ((high.1 - low.1) * shrink).max((high.0 - low.0) / 1.5).max(1e-6);
        let at = |(lat, lng): (f64, f64)| ((lng - low.1) * shrink * scale, (high.0 - lat) * scale);
        self.plot(title, (high.0 - low.0) * scale + 4.0);
        for cell in cells {
            self.add(format_args!("<polygon class=\"cell\" points=\""));
            for (x, y) in cell.iter().filter(|(a, b)| a.is_finite() && b.is_finite()).map(|p| at(*p)) {
                self.add(format_args!("{x:.1},{y:.1} "));
            }
            self.add(format_args!("\"/>"));
        }
        for (lat, lng, class) in points.iter().filter(|p| p.0.is_finite() && p.1.is_finite()) {
            let (x, y) = at((*lat, *lng));
            self.add(format_args!("<circle class=\"c{}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2\"/>", class % 6));
        }
        self.end_plot();
    }
    #[must_use]
    pub fn finish(mut self) -> String {
        self.html.push_str("</body></html>\n");
        self.html
    }

    fn add(&mut self, what: std::fmt::Arguments<'_>) {
        // Writing into a String cannot fail.
        let _ = self.html.write_fmt(what);
    }
    fn plot(&mut self, title: &str, height: f64) {
        let title = escaped(title);
        self.add(format_args!(
            "<h2>{title}</h2>\n<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{title}\">"
        ));
    }
    fn end_plot(&mut self) {
        self.html.push_str("</svg>\n");
    }
    fn rect(&mut self, class: usize, x: f64, y: f64, width: f64, height: f64) {
        self.add(format_args!(
            "<rect class=\"c{}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>",
            class % 6
        ));
    }
}

fn drawable(value: f64) -> f64 {
    if value.is_finite() { value.max(0.0) } else { 0.0 }
}
/// The largest drawable value; never zero, so that it divides.
fn most(values: impl Iterator<Item = f64>) -> f64 {
    values.map(drawable).fold(f64::MIN_POSITIVE, f64::max)
}
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_written_by_others_is_escaped_and_nothing_is_loaded() {
        let bad = "<script>\"'&";
        let mut page = Page::new(bad);
        page.text(bad);
        page.table(&[bad], &[vec![bad]]);
        page.bars(bad, bad, &[(bad, 1.0), ("none", f64::NAN)]);
        page.histogram(bad, bad, &[1.0, 2.0, f64::INFINITY]);
        page.histogram(bad, bad, &[]);
        page.stacked_by_hour(bad, &[(bad.to_owned(), [1.0; 24])]);
        page.map(bad, &[(30.0, -97.0, 9), (f64::NAN, 0.0, 0)], &[vec![(30.0, -97.0), (30.1, -97.0), (30.1, -97.1)]]);
        let html = page.finish();
        for word in ["<script", "http", "NaN", "inf\"", "url(", "@import"] {
            assert!(!html.contains(word), "{word}");
        }
        assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());
    }
}
