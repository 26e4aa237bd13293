package kconfig

import "strings"

// A value depends on visibility, and that of a member of a choice on the
// visibility of all members. So each symbol stands twice in the graph in which
// loops are looked for: its value and its visibility; a choice's are its selection
// and whether it is shown at all. Kconfiglib also counts what is mentioned but has
// no influence, and refuses more.
type vertex struct {
	of      any // *Symbol or *Choice
	visible bool
}

// loops refuses menus in which a value would depend on itself.
func (t *Tree) loops() error {
	const open, closed = 1, 2
	state := map[vertex]int{}
	type step struct {
		vertex
		next []vertex
	}
	for _, s := range t.Symbols {
		// An explicit stack: chains of dependencies can be long.
		start := vertex{s, false}
		if state[start] != 0 {
			continue
		}
		state[start] = open
		path := []step{{start, start.needs()}}
		for len(path) > 0 {
			top := &path[len(path)-1]
			if len(top.next) == 0 {
				state[top.vertex] = closed
				path = path[:len(path)-1]
				continue
			}
			v := top.next[0]
			top.next = top.next[1:]
			switch state[v] {
			case open:
				var names []string
				seen := false
				for _, p := range path {
					seen = seen || p.vertex == v
					if n := p.name(); seen && (len(names) == 0 || names[len(names)-1] != n) {
						names = append(names, n)
					}
				}
				if n := v.name(); len(names) == 1 || names[0] == n {
					names = append(names, n)
				}
				return v.node().errorf("%s depends on itself: %s", v.name(), strings.Join(names, " needs "))
			case 0:
				state[v] = open
				path = append(path, step{v, v.needs()})
			}
		}
	}
	return nil
}

func (v vertex) name() string {
	if s, ok := v.of.(*Symbol); ok {
		return s.Name
	}
	return v.of.(*Choice).title()
}

func (v vertex) node() *Node {
	if s, ok := v.of.(*Symbol); ok {
		return s.Nodes[0]
	}
	return v.of.(*Choice).Node
}

// needs returns what has to be known before v is.
func (v vertex) needs() (list []vertex) {
	uses := func(e expr) {
		operands(e, func(x expr) {
			switch x := x.(type) {
			case *Symbol:
				if len(x.Nodes) > 0 {
					list = append(list, vertex{x, false})
				}
			case *Choice:
				list = append(list, vertex{x, true})
			}
		})
	}
	switch of := v.of.(type) {
	case *Choice:
		if v.visible {
			uses(of.Node.prompted)
			break
		}
		list = append(list, vertex{of, true})
		for _, s := range of.Members {
			list = append(list, vertex{s, true})
		}
		for _, d := range of.defaults {
			uses(d.when)
		}
	case *Symbol:
		if v.visible {
			for _, n := range of.Nodes {
				uses(n.prompted)
			}
			break
		}
		list = append(list, vertex{of, true})
		if of.choice != nil {
			list = append(list, vertex{of.choice, false})
			break
		}
		for _, d := range of.defaults {
			uses(d.value)
			uses(d.when)
		}
		for _, l := range of.ranges {
			uses(l.low)
			uses(l.high)
			uses(l.when)
		}
		uses(of.selected)
	}
	return list
}
