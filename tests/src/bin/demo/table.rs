//! The table of the demo.

/// One server.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) registration: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) sentence: Option<String>,
    pub(crate) tools: Option<u64>,
    pub(crate) answer: String,
    pub(crate) milliseconds: u128,
}

const HEAD: [&str; 7] = ["name", "state", "registration", "reason", "tools", "answer", "ms"];

/// Lines up the columns; the reason in words stands below each row.
pub(crate) fn render(rows: &[Row]) -> String {
    let dash = || "–".to_owned();
    let mut cells: Vec<[String; 7]> = vec![HEAD.map(str::to_owned)];
    for row in rows {
        cells.push([
            row.name.clone(),
            row.state.clone(),
            row.registration.clone().unwrap_or_else(dash),
            row.reason.clone().unwrap_or_else(dash),
            row.tools.map_or_else(dash, |n| n.to_string()),
            row.answer.clone(),
            row.milliseconds.to_string(),
        ]);
    }
    let width =
        |column: usize| cells.iter().map(|c| c[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let mut out = String::new();
    for (n, line) in cells.iter().enumerate() {
        let padded: Vec<String> = line
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| match column {
                4 | 6 => format!("{cell:>width$}"),
                _ => format!("{cell:width$}"),
            })
            .collect();
        out.push_str(format!("  {}", padded.join("  ")).trim_end());
        out.push('\n');
        if n == 0 {
            let rule: usize = widths.iter().sum::<usize>() + 2 * (HEAD.len() - 1);
            out.push_str(&format!("  {}\n", "-".repeat(rule)));
        } else if let Some(sentence) = n.checked_sub(1).and_then(|i| rows[i].sentence.as_deref()) {
            out.push_str(&format!("    {sentence}\n"));
        }
    }
    out
}
