package menuconfig

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/kconfig"
)

// text shows something longer.
type text struct {
	title, body string
	top         int
}

func newText(title, body string) *text { return &text{title: title, body: body} }

func (t *text) lines(width int) (lines []string) {
	for _, l := range strings.Split(t.body, "\n") {
		indent := len(l) - len(strings.TrimLeft(l, " "))
		lines = append(lines, strings.Split(plain.Wrap(l, width, 0, indent), "\n")...)
	}
	return lines
}

func (t *text) key(m *model, k, _ string) (tea.Cmd, bool) {
	room := m.height - 4
	most := max(0, len(t.lines(m.width))-room)
	switch k {
	case "up", "k":
		t.top = max(0, t.top-1)
	case "down", "j":
		t.top = min(most, t.top+1)
	case "pgup":
		t.top = max(0, t.top-room)
	case "pgdown", "space":
		t.top = min(most, t.top+room)
	case "esc", "q", "enter", "left", "?":
		return nil, true
	}
	return nil, false
}

func (t *text) view(m *model, p *page) {
	p.line(t.title)
	p.rule()
	lines := t.lines(p.width)
	room := p.height - 4
	for i := t.top; i < min(len(lines), t.top+room); i++ {
		p.line(lines[i])
	}
	p.fill(p.height - 2)
	p.rule()
	hint := "esc back"
	if len(lines) > room {
		hint += "  arrows move"
	}
	p.line(hint)
}

// input asks for a line.
type input struct {
	title string
	value []rune
	at    int
	err   string
	// done gets the line; it returns a complaint, or true.
	done func(m *model, value string) (complaint string, ok bool)
}

func newInput(title, value string, done func(*model, string) (string, bool)) *input {
	return &input{title: title, value: []rune(value), at: len([]rune(value)), done: done}
}

func (i *input) key(m *model, k, text string) (tea.Cmd, bool) {
	switch k {
	case "esc":
		return nil, true
	case "enter":
		complaint, ok := i.done(m, string(i.value))
		i.err = complaint
		return nil, ok
	}
	i.edit(k, text)
	return nil, false
}

// edit changes the line.
func (i *input) edit(k, text string) {
	switch k {
	case "left":
		i.at = max(0, i.at-1)
	case "right":
		i.at = min(len(i.value), i.at+1)
	case "home", "ctrl+a":
		i.at = 0
	case "end", "ctrl+e":
		i.at = len(i.value)
	case "backspace", "ctrl+h":
		if i.at > 0 {
			i.value = append(i.value[:i.at-1], i.value[i.at:]...)
			i.at--
		}
	case "delete":
		if i.at < len(i.value) {
			i.value = append(i.value[:i.at], i.value[i.at+1:]...)
		}
	case "ctrl+u":
		i.value, i.at = nil, 0
	default:
		r := []rune(text)
		i.value = append(i.value[:i.at], append(r, i.value[i.at:]...)...)
		i.at += len(r)
	}
}

func (i *input) view(_ *model, p *page) {
	for _, l := range strings.Split(plain.Wrap(i.title, p.width, 0, 0), "\n") {
		p.line(l)
	}
	p.rule()
	p.line("")
	i.draw(p)
	p.line("")
	for _, l := range strings.Split(plain.Wrap(i.err, p.width, 0, 0), "\n") {
		p.line(l)
	}
	p.fill(p.height - 2)
	p.rule()
	p.line("enter accepts  esc goes back  ctrl+u empties the line")
}

// draw shows the part of the line that the cursor is in.
func (i *input) draw(p *page) {
	room := p.width - 4
	from := max(0, i.at-room)
	shown := append([]rune(nil), i.value[from:]...)
	at := i.at - from
	under := " "
	rest := ""
	if at < len(shown) {
		under, rest = string(shown[at]), string(shown[at+1:])
	}
	if left := p.width - 3 - at; left > 0 {
		rest = cut(rest, left)
	} else {
		rest = ""
	}
	p.line("")
	p.lines[len(p.lines)-1] = "> " + string(shown[:at]) + reverse.Render(under) + rest
}

// search finds symbols by name or prompt and goes to them.
type search struct {
	input
	cursor int
}

func (s *search) found(m *model) (list []*kconfig.Node) {
	words := strings.Fields(strings.ToLower(string(s.value)))
	for _, sym := range m.Tree.Symbols {
		for _, n := range sym.Nodes {
			all := strings.ToLower(sym.Name + " " + n.Prompt)
			match := n.Prompt != ""
			for _, w := range words {
				match = match && strings.Contains(all, w)
			}
			if match {
				list = append(list, n)
			}
		}
	}
	return list
}

func (s *search) key(m *model, k, text string) (tea.Cmd, bool) {
	found := s.found(m)
	switch k {
	case "esc":
		return nil, true
	case "up":
		s.cursor = max(0, s.cursor-1)
	case "down":
		s.cursor = max(0, min(len(found)-1, s.cursor+1))
	case "enter":
		if s.cursor < len(found) {
			m.jump(found[s.cursor])
			return nil, true
		}
	default:
		s.edit(k, text)
		s.cursor = 0
	}
	return nil, false
}

func (s *search) view(m *model, p *page) {
	p.line("Search for a symbol or words of its prompt")
	p.rule()
	s.draw(p)
	p.line("")
	found := s.found(m)
	room := max(1, p.height-6)
	top := max(0, s.cursor-room+1)
	for i := top; i < min(len(found), top+room); i++ {
		n := found[i]
		line := fmt.Sprintf("%s (%s): %s", n.Symbol.Name, n.Symbol.Value(), n.Prompt)
		if i == s.cursor {
			p.line("")
			p.lines[len(p.lines)-1] = reverse.Render(cut("> "+line, p.width))
			continue
		}
		p.line("  " + line)
	}
	if len(found) == 0 {
		p.line("  (nothing)")
	}
	p.fill(p.height - 2)
	p.rule()
	p.line("enter goes there  arrows move  esc back")
}

// jump opens the menu that a node lies in, and goes to the node.
func (m *model) jump(n *kconfig.Node) {
	var path []*kconfig.Node
	for p := n.Parent; p != nil; p = p.Parent {
		if p.Menu || p.Choice != nil || p.MenuConfig {
			path = append([]*kconfig.Node{p}, path...)
		}
		m.hidden = m.hidden || p.Prompt != "" && p.Parent != nil && !p.Visible()
	}
	m.hidden = m.hidden || !n.Visible()
	m.levels = nil
	for _, p := range path {
		if len(m.levels) > 0 {
			for i, e := range m.entries() {
				if e.node == p {
					m.level().cursor = i
				}
			}
		}
		m.levels = append(m.levels, level{node: p})
	}
	for i, e := range m.entries() {
		if e.node == n {
			m.level().cursor = i
		}
	}
}

// question asks whether to save before leaving.
type question struct{}

func (question) key(m *model, k, _ string) (tea.Cmd, bool) {
	switch k {
	case "y", "Y", "enter":
		if complaint, ok := m.save(m, m.File); !ok {
			m.over = newText("Not saved", complaint)
			return nil, false
		}
		return tea.Quit, true
	case "n", "N":
		return tea.Quit, true
	case "c", "C", "esc":
		return nil, true
	}
	return nil, false
}

func (question) view(m *model, p *page) {
	p.line("Save the configuration?")
	p.rule()
	p.line("")
	p.line("y  save it to " + m.File + " and quit")
	p.line("n  quit, and lose what was changed")
	p.line("c  go back to the menu")
}
