//! A table as text and as Markdown.

/// How tables are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Markdown,
}

/// Rows under a heading.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: &[&str]) -> Self {
        Self {
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn render(&self, form: Form) -> String {
        let widths = self.widths();
        let mut text = line(form, &self.columns, &widths);
        if form == Form::Markdown {
            text += &format!("|{}\n", " --- |".repeat(self.columns.len()));
        }
        for row in &self.rows {
            text += &line(form, row, &widths);
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let width = |place: usize| {
            let all = self.rows.iter().chain([&self.columns]);
            all.filter_map(|row| row.get(place))
                .map(|cell| cell.chars().count())
                .max()
        };
        (0..self.columns.len())
            .map(|place| width(place).unwrap_or(0))
            .collect()
    }
}

fn line(form: Form, cells: &[String], widths: &[usize]) -> String {
    match form {
        Form::Markdown => format!("| {} |\n", cells.join(" | ")),
        Form::Text => {
            let padded: Vec<_> = cells
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            format!("{}\n", padded.join("  ").trim_end())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, Table};

    fn table() -> Table {
        let mut table = Table::new(&["system", "p50"]);
        table.row(["janus".to_owned(), "1".to_owned()]);
        table
    }

    #[test]
    fn text_is_aligned() {
        assert_eq!(table().render(Form::Text), "system  p50\njanus   1\n");
    }

    #[test]
    fn markdown_has_a_rule() {
        assert_eq!(
            table().render(Form::Markdown),
            "| system | p50 |\n| --- | --- |\n| janus | 1 |\n"
        );
    }
}
