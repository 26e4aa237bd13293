// Package menuconfig shows a Kconfig menu in a terminal and lets its user choose.
//
// Nothing on the screen needs colour or more than ASCII, so it works over a serial
// line; 80 columns and 24 rows are enough.
package menuconfig

import (
	"context"
	"fmt"
	"io"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/heapwright/heapwright/kconfig"
)

// A Session is a menu, and what its user can do with files.
type Session struct {
	Tree *kconfig.Tree
	File string // the configuration, as the user knows it
	// Save writes the values to a file, Load reads them from one; what Load
	// returns is shown, a sentence a line.
	Save func(file string) error
	Load func(file string) (remarks []string, err error)
	// Remarks are shown at the beginning.
	Remarks []string
}

// Run shows the menu until the user leaves it, and returns whether the values
// were saved in the end.
func Run(ctx context.Context, s Session, in io.Reader, out io.Writer, options ...tea.ProgramOption) (saved bool, err error) {
	options = append([]tea.ProgramOption{tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithFilter(sized)}, options...)
	last, err := tea.NewProgram(newModel(s), options...).Run()
	if m, ok := last.(*model); ok {
		saved = m.saved && !m.changed
	}
	return saved, err
}

// sized gives a terminal that does not know its size, as serial lines do not, the
// one that they have been given since the VT100. Without it nothing is drawn.
func sized(_ tea.Model, msg tea.Msg) tea.Msg {
	if s, ok := msg.(tea.WindowSizeMsg); ok && (s.Width <= 0 || s.Height <= 0) {
		return tea.WindowSizeMsg{Width: 80, Height: 24}
	}
	return msg
}

// level is a menu that is open.
type level struct {
	node   *kconfig.Node
	cursor int // index in its entries
	top    int // of the screen
}

// screen is what the keys are for.
type screen interface {
	key(m *model, k string, text string) (tea.Cmd, bool)
	view(m *model, b *page)
}

type model struct {
	Session
	width, height int
	levels        []level
	hidden        bool // show what cannot be set, too
	changed       bool // since the last save
	saved         bool
	message       string
	escaped       bool   // the last key was esc, in the main menu
	over          screen // in front of the menu; nil: the menu itself
}

func newModel(s Session) *model {
	m := &model{Session: s, width: 80, height: 24, levels: []level{{node: s.Tree.Root}}}
	if len(s.Remarks) > 0 {
		m.over = newText("Please note", strings.Join(s.Remarks, "\n\n"))
	}
	return m
}

// Init implements tea.Model.
func (m *model) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		if msg.Width > 0 && msg.Height > 0 {
			m.width, m.height = max(msg.Width, 20), max(msg.Height, 8)
		}
	case tea.KeyPressMsg:
		return m, m.press(msg.String(), msg.Key().Text)
	}
	return m, nil
}

// View implements tea.Model.
func (m *model) View() tea.View {
	p := &page{width: m.width, height: m.height}
	if m.over != nil {
		m.over.view(m, p)
	} else {
		m.menu(p)
	}
	v := tea.NewView(strings.Join(p.lines, "\n"))
	v.AltScreen = true
	return v
}

func (m *model) press(k, text string) tea.Cmd {
	if k == "ctrl+c" {
		return m.leave()
	}
	if m.over != nil {
		cmd, done := m.over.key(m, k, text)
		if done {
			m.over = nil
		}
		return cmd
	}
	m.message = ""
	again := m.escaped && k == "esc"
	m.escaped = false
	entries := m.entries()
	at := &m.level().cursor
	switch k {
	case "up", "k":
		*at = max(0, *at-1)
	case "down", "j":
		*at = min(len(entries)-1, *at+1)
	case "pgup", "ctrl+u":
		*at = max(0, *at-m.rows())
	case "pgdown", "ctrl+d":
		*at = min(len(entries)-1, *at+m.rows())
	case "home", "g":
		*at = 0
	case "end", "G":
		*at = len(entries) - 1
	case "left", "backspace", "h":
		m.up()
	case "e":
		if !m.up() {
			return m.leave()
		}
	case "esc":
		// On a slow line the escape of an arrow comes long before its rest, and
		// must not end the program.
		switch {
		case again:
			return m.leave()
		case !m.up():
			m.escaped = true
			m.message = "esc once more quits, and so does q"
		}
	case "q":
		return m.leave()
	case "s":
		m.over = newInput("Save the configuration to", m.File, m.save)
	case "l":
		m.over = newInput("Load a configuration from (what is chosen now is lost)", m.File, m.load)
	case "/":
		m.over = &search{}
	case "z":
		m.keep(func() { m.hidden = !m.hidden })
	case "?":
		if len(entries) > 0 {
			m.over = newText("Help", about(entries[*at].node))
		}
	case "enter", "right", "space":
		if len(entries) > 0 {
			m.choose(entries[*at], k)
		}
	case "y", "n":
		if len(entries) > 0 && entries[*at].node.Symbol != nil {
			m.set(entries[*at].node.Symbol, k)
		}
	}
	return nil
}

func (m *model) level() *level { return &m.levels[len(m.levels)-1] }

// up leaves the menu for the one it lies in; false: there is none.
func (m *model) up() bool {
	if len(m.levels) == 1 {
		return false
	}
	m.levels = m.levels[:len(m.levels)-1]
	return true
}

// keep does something that may change which entries there are, and stays at the
// one it was at.
func (m *model) keep(f func()) {
	var at *kconfig.Node
	if e := m.entries(); m.level().cursor < len(e) {
		at = e[m.level().cursor].node
	}
	f()
	e := m.entries()
	for i := range e {
		if e[i].node == at {
			m.level().cursor = i
		}
	}
	m.level().cursor = max(0, min(m.level().cursor, len(e)-1))
}

// choose does what an entry is for. Space sets where enter goes in.
func (m *model) choose(e entry, k string) {
	n := e.node
	switch s := n.Symbol; {
	case e.enters && (k != "space" || s == nil):
		m.levels = append(m.levels, level{node: n})
		if c := n.Choice; c != nil {
			for i, e := range m.entries() {
				if e.node.Symbol == c.Selected() {
					m.level().cursor = i
				}
			}
		}
	case s == nil || k == "right":
	case s.Type() == kconfig.Bool && s.Choice() != nil:
		if m.set(s, "y") && m.level().node.Choice == s.Choice() {
			m.up()
		}
	case s.Type() == kconfig.Bool && s.Bool():
		m.set(s, "n")
	case s.Type() == kconfig.Bool:
		m.set(s, "y")
	case !s.Visible():
		m.set(s, s.Value())
	default:
		title := n.Prompt
		if low, high, ok := s.Limits(); ok {
			title += fmt.Sprintf(" (%s to %s)", low, high)
		}
		m.over = newInput(title, s.Value(), func(m *model, v string) (string, bool) {
			if m.set(s, v) {
				return "", true
			}
			return m.message, false
		})
	}
}

// set gives a symbol a value, or says why not.
func (m *model) set(s *kconfig.Symbol, v string) (ok bool) {
	if s.Value() == v && s.Visible() {
		return true
	}
	m.keep(func() {
		if err := m.Tree.Set(s.Name, v); err != nil {
			m.message = err.Error()
			return
		}
		m.changed, ok = true, true
	})
	return ok
}

func (m *model) save(_ *model, file string) (string, bool) {
	if err := m.Save(file); err != nil {
		return err.Error(), false
	}
	m.File, m.changed, m.saved = file, false, true
	m.message = "saved to " + file
	return "", true
}

func (m *model) load(_ *model, file string) (string, bool) {
	remarks, err := m.Load(file)
	if err != nil {
		return err.Error(), false
	}
	m.File, m.changed = file, false
	m.keep(func() {})
	m.message = "loaded " + file
	if len(remarks) > 0 {
		m.over = newText("Please note", strings.Join(remarks, "\n\n"))
		return "", false
	}
	return "", true
}

// leave ends the program, after a question if something would be lost.
func (m *model) leave() tea.Cmd {
	if !m.changed {
		return tea.Quit
	}
	m.over = question{}
	return nil
}
