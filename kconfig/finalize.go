package kconfig

// finish turns what was read into a menu: conditions go down to what they are
// about, symbols that depend on the one in front become members of it, ifs
// disappear.
func (p *parser) finish() error {
	sum := 0
	if n := p.tree.Root.weigh(0, &sum); n != nil {
		return n.errorf("the conditions of the menu are too long: more than %d words, those of the blocks around a statement counted with it", maxWeight)
	}
	finalize(p.tree.Root)
	if err := p.tree.check(); err != nil {
		return err
	}
	return p.tree.loops()
}

// weigh adds up what the conditions below n weigh, of which around comes from
// outside, and returns the node at which that becomes too much; nil: it does not.
func (n *Node) weigh(around int, sum *int) *Node {
	for c := n.Child; c != nil; c = c.Next {
		if *sum += c.weight + c.lines*around; *sum > maxWeight {
			return c
		}
		if heavy := c.weigh(around+c.passes, sum); heavy != nil {
			return heavy
		}
	}
	return nil
}

func finalize(n *Node) {
	switch {
	case n.Symbol != nil:
		n.Symbol.add(n)
		last := n
		for last.Next != nil && belongs(last.Next, n.Symbol) {
			finalize(last.Next)
			last = last.Next
			last.Parent = n
		}
		if last != n {
			n.Child, n.Next, last.Next = n.Next, last.Next, nil
		}
	case n.Child != nil:
		n.push()
		for c := n.Child; c != nil; c = c.Next {
			finalize(c)
		}
	}
	n.flatten()
	if n.Choice != nil {
		n.Choice.defaults = append(n.Choice.defaults, n.defined.defaults...)
		for c := n.Child; c != nil; c = c.Next {
			if s := c.Symbol; s != nil {
				s.choice = n.Choice
				n.Choice.Members = append(n.Choice.Members, s)
				if s.typ == Unknown {
					s.typ = Bool
				}
			}
		}
	}
}

// push gives the conditions of a node to its members.
func (n *Node) push() {
	around := n.dep
	if n.Choice != nil {
		around = n.Choice
	}
	for c := n.Child; c != nil; c = c.Next {
		c.dep = both(c.dep, around)
		if c.prompted != nil {
			c.prompted = both(c.prompted, c.dep)
		}
		if d := c.defined; d != nil {
			for i := range d.defaults {
				d.defaults[i].when = both(d.defaults[i].when, c.dep)
			}
			for i := range d.ranges {
				d.ranges[i].when = both(d.ranges[i].when, c.dep)
			}
			for i := range d.selects {
				d.selects[i].when = both(d.selects[i].when, c.dep)
			}
		}
	}
}

// add gives what a node defines to its symbol, and to those that it selects.
func (s *Symbol) add(n *Node) {
	d := n.defined
	s.direct = either(s.direct, n.dep)
	s.defaults = append(s.defaults, d.defaults...)
	s.ranges = append(s.ranges, d.ranges...)
	s.selects = append(s.selects, d.selects...)
	for _, c := range d.selects {
		t := c.value.(*Symbol)
		t.selected = either(t.selected, both(s, c.when))
	}
}

// belongs reports whether a node is shown as a member of the symbol in front of
// it, because it depends on that.
func belongs(n *Node, s *Symbol) bool {
	if n.prompted != nil {
		return dependsOn(n.prompted, s)
	}
	return dependsOn(n.dep, s)
}

func dependsOn(e expr, s *Symbol) bool {
	switch e := e.(type) {
	case *Symbol:
		return e == s
	case and:
		return dependsOn(e.a, s) || dependsOn(e.b, s)
	case relation:
		other := e.b
		if other == s {
			other = e.a
		} else if e.a != s {
			return false
		}
		literal := other.literal && other.typ == Bool
		return literal && (e.op == "=" && other.Name == "y" || e.op == "!=" && other.Name == "n")
	}
	return false
}

// flatten lets the members of ifs, and of symbols that are not shown, follow
// these, and takes the ifs out.
func (n *Node) flatten() {
	for c := n.Child; c != nil; c = c.Next {
		if c.Child == nil || c.prompted != nil || c.Choice != nil {
			continue
		}
		last := c.Child
		for last.Parent = n; last.Next != nil; last.Parent = n {
			last = last.Next
		}
		last.Next, c.Next, c.Child = c.Next, c.Child, nil
	}
	at := &n.Child
	for *at != nil {
		if c := *at; c.Symbol == nil && c.Choice == nil && !c.Menu && !c.Note {
			*at = c.Next
			continue
		}
		at = &(*at).Next
	}
}
