package kconfig

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode/utf8"
)

// What a menu may have of everything.
const (
	maxBytes = 16 << 20 // of text, all files together
	maxLine  = 64 << 10 // continued lines included
	maxFiles = 4096
	maxDeep  = 64  // files in files, and blocks in blocks
	maxParen = 256 // parentheses in parentheses
	maxNodes = 1 << 17
	// maxWeight bounds the words of all conditions, those that a statement has
	// from the blocks around it included: what it takes to compute all values.
	// That of Linux, the largest menu there is, is below a million.
	maxWeight = 4 << 20
)

// Parse reads the Kconfig file called name and those that it includes, whose
// names count from the top of fsys. What it returns has the values of the
// defaults.
func Parse(fsys fs.FS, name string) (*Tree, error) {
	p := parser{fsys: fsys, tree: &Tree{names: map[string]*Symbol{}, age: 1}}
	root := &Node{Menu: true, Prompt: "Main menu", File: name, Line: 1, dep: yes{}, prompted: yes{}}
	p.tree.Root = root
	if err := p.include(name, root, &root.Child); err != nil {
		return nil, err
	}
	if err := p.finish(); err != nil {
		return nil, err
	}
	return p.tree, nil
}

type parser struct {
	fsys  fs.FS
	tree  *Tree
	bytes int
	files int
	nodes int
	open  []string // files being read
	depth int      // blocks

	file  string
	lines []string
	at    int // of the next line in lines
	line  int // the current one, from 1
	line0 string

	tokens []token
	pos    int
	parens int
	again  bool // the current line has not been dealt with
}

func (p *parser) errorf(format string, args ...any) error {
	return &Error{p.file, p.line, fmt.Sprintf(format, args...)}
}

// include reads a file as part of the block of parent. tail is where the next
// node goes.
func (p *parser) include(name string, parent *Node, tail **Node) error {
	_, err := p.includeAt(name, parent, tail)
	return err
}

func (p *parser) includeAt(name string, parent *Node, tail **Node) (**Node, error) {
	for _, f := range p.open {
		if f == name {
			return tail, p.errorf("%s includes itself: %s", name, strings.Join(append(p.open, name), " > "))
		}
	}
	if p.files++; p.files > maxFiles || len(p.open) >= maxDeep {
		return tail, p.errorf("too many files are included: %d, %d deep", p.files, len(p.open))
	}
	text, err := p.read(name)
	if err != nil {
		var e *Error
		if len(p.open) == 0 || errors.As(err, &e) {
			return tail, err
		}
		return tail, p.errorf("source %q: %v", name, err)
	}
	outer := *p
	p.file, p.lines, p.at, p.line, p.again = name, strings.SplitAfter(text, "\n"), 0, 0, false
	p.open = append(p.open, name)
	tail, err = p.block("", parent, tail)
	bytes, files, nodes := p.bytes, p.files, p.nodes
	*p = outer
	p.bytes, p.files, p.nodes = bytes, files, nodes
	return tail, err
}

func (p *parser) read(name string) (string, error) {
	f, err := p.fsys.Open(name)
	if err != nil {
		var e *fs.PathError
		if errors.As(err, &e) && errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("there is no file %s", name)
		}
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(maxBytes-p.bytes)+1))
	if err != nil {
		return "", err
	}
	if p.bytes += len(b); p.bytes > maxBytes {
		return "", fmt.Errorf("more than %d MiB of Kconfig files", maxBytes>>20)
	}
	text := strings.TrimPrefix(string(b), "\ufeff")
	if !utf8.ValidString(text) {
		return "", &Error{name, invalidLine(text), "this is not UTF-8: convert the file, or the comment in it"}
	}
	return lineEnds.Replace(text), nil
}

// lineEnds are those of Windows, and of machines older than that.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// invalidLine is the first line that is not UTF-8.
func invalidLine(text string) int {
	for i, r := range text {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(text[i:]); n == 1 {
				return 1 + strings.Count(text[:i], "\n")
			}
		}
	}
	return 1
}

// next moves to the next line that has something on it; false: there is none.
func (p *parser) next() (bool, error) {
	if p.again {
		p.again = false
		p.pos = 0
		return true, nil
	}
	for p.at < len(p.lines) {
		line := p.lines[p.at]
		p.at++
		p.line = p.at
		for strings.HasSuffix(line, "\\\n") && p.at < len(p.lines) && len(line) < maxLine {
			line = line[:len(line)-2] + p.lines[p.at]
			p.at++
		}
		if len(line) >= maxLine {
			return false, p.errorf("a line of more than %d KiB", maxLine>>10)
		}
		tokens, err := lex(line)
		if err != nil {
			return false, p.errorf("%v", err)
		}
		if len(tokens) > 0 {
			p.tokens, p.pos, p.line0 = tokens, 0, line
			return true, nil
		}
	}
	return false, nil
}

// peek returns the next token on the line, the zero token at its end.
func (p *parser) peek() token {
	if p.pos < len(p.tokens) {
		return p.tokens[p.pos]
	}
	return token{}
}

func (p *parser) take() token {
	t := p.peek()
	p.pos++
	return t
}

// accept takes the next token if it is that one.
func (p *parser) accept(k kind, text string) bool {
	if p.peek() == (token{k, text}) {
		p.pos++
		return true
	}
	return false
}

func (p *parser) end() error {
	if t := p.peek(); t.kind != 0 {
		return p.errorf("unexpected %q behind the end of the statement", t.text)
	}
	return nil
}

// unsupported are keywords of the language that are not understood here.
var unsupported = map[string]string{
	"tristate": "tristate is not supported: there are no modules here", "def_tristate": "def_tristate is not supported: there are no modules here",
	"imply": "imply is not supported", "optional": "optional is not supported", "visible": "visible if is not supported",
	"option": "option is not supported", "modules": "modules is not supported",
	"rsource": "rsource is not supported: use source", "osource": "osource is not supported: use source",
	"orsource": "orsource is not supported: use source", "gsource": "gsource is not supported: use source", "grsource": "grsource is not supported: use source",
	"transitional": "transitional is not supported",
}

// ends are what closes each block.
var ends = map[string]string{"menu": "endmenu", "choice": "endchoice", "if": "endif"}

// block reads statements up to the keyword end; "": up to the end of the file.
func (p *parser) block(end string, parent *Node, tail **Node) (**Node, error) {
	if p.depth++; p.depth > maxDeep {
		return tail, p.errorf("blocks lie in each other more than %d deep", maxDeep)
	}
	defer func() { p.depth-- }()
	for {
		more, err := p.next()
		if err != nil {
			return tail, err
		}
		if !more {
			if end != "" {
				return tail, &Error{p.file, parent.Line, fmt.Sprintf("the block that begins here has no %s", end)}
			}
			return tail, nil
		}
		t := p.take()
		if t.kind != word {
			return tail, p.errorf("a statement cannot begin with %q", t.text)
		}
		if t.text == end {
			return tail, p.end()
		}
		if p.nodes++; p.nodes > maxNodes {
			return tail, p.errorf("more than %d statements", maxNodes)
		}
		n := &Node{Parent: parent, lines: 1, weight: len(p.tokens), passes: len(p.tokens), File: p.file, Line: p.line, dep: yes{}, defined: &props{}}
		switch t.text {
		case "config", "menuconfig":
			err = p.config(n, t.text == "menuconfig")
		case "menu":
			n.Menu = true
			if n.Prompt, err = p.title(); err == nil {
				n.prompted = yes{}
				err = p.nested("endmenu", n)
			}
		case "choice":
			err = p.choice(n)
		case "comment":
			n.Note = true
			if n.Prompt, err = p.title(); err == nil {
				n.prompted = yes{}
				err = p.properties(n)
			}
		case "if":
			if n.dep, err = p.condition(); err == nil {
				_, err = p.block("endif", n, &n.Child)
			}
		case "source":
			var name string
			if name, err = p.title(); err == nil && strings.ContainsAny(name, "*?[") {
				err = p.errorf("source %q: patterns are not supported, name one file", name)
			} else if err == nil {
				tail, err = p.includeAt(name, parent, tail)
			}
			n = nil
		case "mainmenu":
			p.tree.Root.Prompt, err = p.title()
			n = nil
		default:
			err = p.unknown(t.text)
		}
		if err != nil {
			return tail, err
		}
		if n != nil {
			*tail = n
			tail = &n.Next
		}
	}
}

func (p *parser) unknown(word string) error {
	if why := unsupported[word]; why != "" {
		return p.errorf("%s", why)
	}
	for begin, end := range ends {
		if word == end {
			return p.errorf("%s without %s", end, begin)
		}
	}
	if next := p.peek(); next.text == "=" || strings.Contains(p.line0, ":=") {
		return p.errorf("macros are not supported")
	}
	return p.errorf("%q is no statement of the Kconfig language", word)
}

// nested reads the properties of a menu or choice and the block in it.
func (p *parser) nested(end string, n *Node) error {
	if err := p.properties(n); err != nil {
		return err
	}
	_, err := p.block(end, n, &n.Child)
	return err
}

// title reads a string and the end of the line.
func (p *parser) title() (string, error) {
	t := p.take()
	if t.kind != quote {
		return "", p.errorf("a text in quotes is missing")
	}
	return t.text, p.end()
}

func (p *parser) config(n *Node, menu bool) error {
	t := p.take()
	if t.kind != word || literals[t.text] {
		return p.errorf("the name of a symbol is missing")
	}
	if err := p.end(); err != nil {
		return err
	}
	s := p.symbol(t.text)
	if len(s.Nodes) == 0 {
		p.tree.Symbols = append(p.tree.Symbols, s)
	}
	s.Nodes = append(s.Nodes, n)
	n.Symbol, n.MenuConfig = s, menu
	if err := p.properties(n); err != nil {
		return err
	}
	return nil
}

func (p *parser) choice(n *Node) error {
	if t := p.peek(); t.kind != 0 {
		return p.errorf("choices with names are not supported")
	}
	n.Choice = &Choice{Node: n, tree: p.tree}
	n.MenuConfig = true
	p.tree.choices = append(p.tree.choices, n.Choice)
	return p.nested("endchoice", n)
}

// literals are names that stand for themselves.
var literals = map[string]bool{"y": true, "n": true, "m": true}

// symbol returns the symbol of that name.
func (p *parser) symbol(name string) *Symbol {
	s := p.tree.names[name]
	if s == nil {
		s = &Symbol{Name: name, tree: p.tree, direct: no{}, selected: no{}}
		p.tree.names[name] = s
	}
	return s
}
