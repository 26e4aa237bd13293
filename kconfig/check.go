package kconfig

import "fmt"

func (n *Node) errorf(format string, args ...any) error {
	return &Error{n.File, n.Line, fmt.Sprintf(format, args...)}
}

// check refuses what has no meaning.
func (t *Tree) check() error {
	for _, s := range t.Symbols {
		if err := s.check(); err != nil {
			return err
		}
	}
	for _, c := range t.choices {
		if c.typ != Unknown && c.typ != Bool {
			return c.Node.errorf("a choice is a bool, not %s", c.typ)
		}
		for _, d := range c.defaults {
			if s, ok := d.value.(*Symbol); !ok || s.choice != c {
				return c.Node.errorf("the default of the choice, %s, is not one of its members", text(d.value))
			}
		}
		for _, s := range c.Members {
			if s.typ != Bool {
				return s.Nodes[0].errorf("%s is a member of a choice and must be a bool, not %s", s.Name, s.typ)
			}
			if s.choice != c {
				return c.Node.errorf("%s is a member of two choices", s.Name)
			}
		}
	}
	return nil
}

func (s *Symbol) check() error {
	n := s.Nodes[0]
	if s.typ == Unknown {
		return n.errorf("%s has no type: bool, int, hex or string", s.Name)
	}
	for _, d := range s.defaults {
		if s.typ == Bool {
			continue
		}
		switch v := d.value.(type) {
		case *Symbol:
			if _, ok := number(v.Name, s.typ.base()); s.typ != String && len(v.Nodes) == 0 && !ok {
				return n.errorf("the default %q of %s is not a number of base %d", v.Name, s.Name, s.typ.base())
			}
		case yes, no:
			if s.typ != String {
				return n.errorf("the default %s of %s is not a number", text(v), s.Name)
			}
		default:
			return n.errorf("the default of %s, which is %s, is an expression: give one value", s.Name, s.typ)
		}
	}
	if len(s.ranges) > 0 && s.typ != Int && s.typ != Hex {
		return n.errorf("%s has a range and is %s: only int and hex have ranges", s.Name, s.typ)
	}
	for _, l := range s.ranges {
		for _, v := range []*Symbol{l.low, l.high} {
			if _, ok := number(v.Name, s.typ.base()); len(v.Nodes) == 0 && !ok {
				return n.errorf("the limit %q in the range of %s is not a number of base %d", v.Name, s.Name, s.typ.base())
			}
		}
	}
	if len(s.selects) > 0 && s.typ != Bool {
		return n.errorf("%s selects and is %s: only a bool selects", s.Name, s.typ)
	}
	for _, c := range s.selects {
		if t := c.value.(*Symbol); len(t.Nodes) > 0 && t.typ != Bool {
			return n.errorf("%s selects %s, which is %s: only a bool can be selected", s.Name, t.Name, t.typ)
		}
	}
	return nil
}

func (t Type) base() int {
	switch t {
	case Int:
		return 10
	case Hex:
		return 16
	}
	return 0
}
