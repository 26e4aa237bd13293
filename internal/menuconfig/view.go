package menuconfig

import (
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/heapwright/heapwright/internal/plain"
)

var reverse = lipgloss.NewStyle().Reverse(true)

// page is what is drawn, line by line, never more than fits.
type page struct {
	width, height int
	lines         []string
}

// line adds a line, cut to the width.
func (p *page) line(s string) {
	if len(p.lines) < p.height {
		p.lines = append(p.lines, cut(s, p.width))
	}
}

// fill adds empty lines until there are n.
func (p *page) fill(n int) {
	for len(p.lines) < n {
		p.line("")
	}
}

func (p *page) rule() { p.line(strings.Repeat("-", p.width)) }

// cut shortens a line to a width; a dot at its end tells.
func cut(s string, width int) string {
	if r := []rune(s); len(r) > width {
		return string(r[:width-1]) + "."
	}
	return s
}

// What stands around the entries: title, path and rule above them; rule, two lines
// about the entry, and two of keys below.
const (
	above = 3
	below = 5
)

// rows is how many entries there is room for.
func (m *model) rows() int { return max(1, m.height-above-below) }

func (m *model) menu(p *page) {
	title := m.Tree.Root.Prompt + " - " + m.File
	if m.changed {
		title += " (changed)"
	}
	p.line(title)
	var path []string
	for i, l := range m.levels {
		if i > 0 {
			path = append(path, l.node.Prompt)
		}
	}
	p.line("> " + strings.Join(path, " > "))
	p.rule()
	entries := m.entries()
	l, rows := m.level(), m.rows()
	l.cursor = max(0, min(l.cursor, len(entries)-1))
	l.top = max(0, min(l.top, len(entries)-rows))
	if l.cursor < l.top {
		l.top = l.cursor
	}
	if l.cursor >= l.top+rows {
		l.top = l.cursor - rows + 1
	}
	for i := l.top; i < min(l.top+rows, len(entries)); i++ {
		if i != l.cursor {
			p.line("  " + entries[i].text())
			continue
		}
		p.line("")
		p.lines[len(p.lines)-1] = reverse.Render(cut("> "+entries[i].text(), p.width))
	}
	if len(entries) == 0 {
		p.line("  (nothing here can be set; z shows what is hidden, ? why)")
	}
	p.fill(above + rows)
	more := ""
	if left := len(entries) - l.top - rows; left > 0 {
		more = fmt.Sprintf(" %d more below ", left)
	}
	p.line("--" + more + strings.Repeat("-", max(0, p.width-2-len(more))))
	for _, s := range m.footer(entries) {
		p.line(s)
	}
	p.fill(above + rows + 3)
	p.line("arrows move  enter opens  space changes  esc back  ? help  / search")
	p.line("s save  l load  z show hidden  q quit")
}

// footer is two lines about what just happened, or about the entry.
func (m *model) footer(entries []entry) []string {
	text := m.message
	if text == "" && len(entries) > 0 {
		n := entries[m.level().cursor].node
		if s := n.Symbol; s != nil {
			text = s.Name + ": "
			if why := s.Missing(); why != "" && !s.Visible() {
				text = why
			} else {
				text += strings.Join(strings.Fields(s.Help()), " ")
			}
		}
	}
	lines := strings.Split(plain.Wrap(text, m.width, 0, 0), "\n")
	if len(lines) > 2 {
		lines = lines[:2]
		lines[1] = cut(lines[1]+strings.Repeat(" ", m.width), m.width-4)
		lines[1] = strings.TrimRight(strings.TrimSuffix(lines[1], "."), " ") + " ..."
	}
	return lines
}
