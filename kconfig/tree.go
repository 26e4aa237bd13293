package kconfig

import "fmt"

// Type is the type of a symbol.
type Type uint8

// The types of symbols.
const (
	Unknown Type = iota // not defined, or a literal
	Bool
	Int
	Hex
	String
)

var typeNames = [...]string{"unknown", "bool", "int", "hex", "string"}

// String returns the type's name in the language.
func (t Type) String() string { return typeNames[t] }

// A Tree is a menu with everything in it, and the values chosen.
type Tree struct {
	// Root is the main menu.
	Root *Node
	// Symbols are those that are defined, in the order of their definitions.
	Symbols []*Symbol
	// Prefix stands in front of each name in a configuration, "CONFIG_" in many
	// systems; LiteOS has none.
	Prefix string

	choices []*Choice
	names   map[string]*Symbol
	age     uint64 // of the values: they are computed anew when it changes
}

// Lookup returns the symbol of that name; nil: none is defined.
func (t *Tree) Lookup(name string) *Symbol {
	if s := t.names[name]; s != nil && len(s.Nodes) > 0 {
		return s
	}
	return nil
}

// A Symbol is an option.
type Symbol struct {
	Name  string
	Nodes []*Node // where it is defined

	typ      Type
	literal  bool // stands for its own name
	choice   *Choice
	defaults []choiceOf
	ranges   []limits
	selects  []choiceOf // what it selects, and when
	direct   expr       // its dependencies
	selected expr       // by others

	given *string // by the user
	// computed
	tree  *Tree
	age   uint64 // of the tree when the value was computed
	write bool   // it belongs into a configuration
	value string
}

// choiceOf is a value with its condition.
type choiceOf struct {
	value expr // of a bool's default any condition, else a symbol
	when  expr
}

// limits is a range with its condition.
type limits struct {
	low, high *Symbol
	when      expr
}

// Type returns the type of the symbol.
func (s *Symbol) Type() Type { return s.typ }

// A Choice is a group of bools of which one is y.
type Choice struct {
	Node    *Node
	Members []*Symbol

	typ      Type
	defaults []choiceOf // value is a member
	given    *Symbol    // by the user

	tree     *Tree
	age      uint64 // of the tree when the selection was computed
	selected *Symbol
}

func (c *Choice) title() string {
	if c.Node.Prompt != "" {
		return fmt.Sprintf("the choice %q", c.Node.Prompt)
	}
	return fmt.Sprintf("the choice at %s:%d", c.Node.File, c.Node.Line)
}

// A Node is a place in the menu: a menu, a comment, a choice, or the definition
// of a symbol. Its members are followed from Child through Next.
type Node struct {
	Symbol *Symbol
	Choice *Choice
	Menu   bool // menu, or the main menu
	Note   bool // comment

	Prompt     string // empty: none
	Help       string
	MenuConfig bool // what depends on it is shown as a menu of its own
	File       string
	Line       int

	Parent, Child, Next *Node

	// How many lines it has, the words in them, and those of the conditions
	// that what lies in it has, too.
	lines, weight, passes int

	defined  *props
	dep      expr // the conditions of the node and all around it
	prompted expr // when the prompt is visible; nil: there is none
}

// props are what a node defines, for its symbol or choice.
type props struct {
	defaults []choiceOf
	ranges   []limits
	selects  []choiceOf
}

// Visible reports whether the node is shown.
func (n *Node) Visible() bool {
	if n.prompted != nil {
		return n.prompted.holds()
	}
	return false
}
