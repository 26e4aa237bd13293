// Package kconfig reads menus in the Kconfig language and the configurations
// made with them, and says which values hold.
//
// It knows the part of the language that menus about memory are written in:
//
//	mainmenu, menu, choice, config, menuconfig, comment, if, source
//	bool, int, hex, string, def_bool, def_int, def_hex, def_string
//	prompt, default, range, depends on, select, help
//	expressions with !, &&, ||, =, !=, <, <=, >, >=
//
// What it does not know (tristate, imply, optional, visible if, option, macros)
// is an error with file and line. The language is described in the Linux
// kernel's Documentation/kbuild/kconfig-language.rst; where that leaves room, the
// values and the text of a configuration are those of Kconfiglib, which LiteOS
// uses.
//
// # Reading
//
// A line is cut into tokens (lex.go), statements become a tree of nodes
// (parse.go), and dependencies go down that tree until each prompt, default,
// range and select has its whole condition (finalize.go). A symbol may be defined
// at several nodes.
//
// # Values
//
// A symbol has the value that the user gave it, as long as its prompt is
// visible; else that of the first default whose condition holds; a bool that
// another one selects is y in any case (value.go). Values are computed when asked
// for and kept until something is set. Menus in which a value would depend on
// itself are refused (loop.go), so computing ends.
//
// A Tree is not safe for concurrent use.
package kconfig
