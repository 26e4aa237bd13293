package kconfig

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Write writes the configuration: every symbol that is shown or has a value,
// under the titles of its menus, behind the text header.
func (t *Tree) Write(w io.Writer, header string) error {
	b := bufio.NewWriter(w)
	b.WriteString(header)
	c := writer{b: b, t: t, seen: map[*Symbol]bool{}}
	c.members(t.Root)
	return b.Flush()
}

type writer struct {
	b     *bufio.Writer
	t     *Tree
	seen  map[*Symbol]bool
	ended bool // the last line was the end of a menu
}

func (c *writer) members(n *Node) {
	for m := n.Child; m != nil; m = m.Next {
		shown := (m.Menu || m.Note) && m.dep.holds()
		switch {
		case m.Symbol != nil && !c.seen[m.Symbol]:
			c.seen[m.Symbol] = true
			if line := c.t.line(m.Symbol); line != "" {
				if c.ended {
					c.b.WriteByte('\n')
				}
				c.ended = false
				c.b.WriteString(line)
			}
		case shown:
			fmt.Fprintf(c.b, "\n#\n# %s\n#\n", m.Prompt)
			c.ended = false
		}
		c.members(m)
		if m.Menu && shown && m.Child != nil {
			fmt.Fprintf(c.b, "# end of %s\n", m.Prompt)
			c.ended = true
		}
	}
}

// line is the line of a symbol in a configuration; "": it has none.
func (t *Tree) line(s *Symbol) string {
	v := s.Value()
	switch {
	case !s.write:
		return ""
	case s.typ == Bool && v == "n":
		return "# " + t.Prefix + s.Name + " is not set\n"
	case s.typ == String:
		v = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v) + `"`
	}
	return t.Prefix + s.Name + "=" + v + "\n"
}

// WriteMinimal writes the symbols that differ from their defaults, which is all
// that a configuration needs to be restored.
func (t *Tree) WriteMinimal(w io.Writer, header string) error {
	b := bufio.NewWriter(w)
	b.WriteString(header)
	for _, s := range t.Symbols {
		switch {
		case s.choice == nil && (!s.Visible() || s.selected.holds()):
		case s.Value() == s.usual():
		case s.choice != nil && s.Bool() && s.choice.usual() == s:
		default:
			b.WriteString(t.line(s))
		}
	}
	return b.Flush()
}

// usual is the value of the symbol if the user sets nothing. It does not know of
// ranges, as the tools that LiteOS uses do not.
func (s *Symbol) usual() string {
	switch {
	case s.typ == Bool && s.choice != nil:
		return "n"
	case s.typ == Bool:
		v := false
		for _, d := range s.defaults {
			if d.when.holds() {
				v = d.value.holds()
				break
			}
		}
		if v || s.selected.holds() {
			return "y"
		}
		return "n"
	}
	for _, d := range s.defaults {
		if d.when.holds() {
			return literal(d.value)
		}
	}
	return ""
}
