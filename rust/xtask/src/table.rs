//! A table of text: the first column to the left, the others to the right, as wide as their widest cell.

/// Lays the rows out, one line each; the first row is the heading.
pub fn render(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |row: &[String], column: usize| row.get(column).map_or(0, |text| text.chars().count());
    let widths: Vec<usize> =
        (0..columns).map(|column| rows.iter().map(|row| cell(row, column)).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["part", "passed"], ["format", "1"], ["é", "12"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(render(&rows), "part    passed\nformat       1\né           12\n");
    }

    #[test]
    fn short_rows_are_fine() {
        assert_eq!(render(&[vec!["a".to_owned(), "b".to_owned()], vec!["c".to_owned()]]), "a  b\nc\n");
    }

    #[test]
    fn nothing_gives_nothing() {
        assert_eq!(render(&[]), "");
    }
}
