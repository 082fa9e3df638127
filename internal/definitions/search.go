package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// searchText writes search parameters and compartments as package fhir reads
// them, one to a line, columns divided by tabs, lists by "," or "|":
//
//	R types that specialize Resource itself and so lack the parameters of DomainResource
//	S url code type base expression target flags comparators modifiers chain components xpathUsage derivedFrom description
//	C name url type=code,code|type=code
//
// target is "*" for all concrete resource types but Parameters, which cannot be stored.
// flags: o and a where multipleOr and multipleAnd are false, x experimental.
// components are pairs of definition and expression, all divided by "|||".
func searchText(params, resources []entry, types *typeTable) ([]byte, error) {
	var b bytes.Buffer
	var plain []string
	for _, name := range types.resourceTypes() {
		if types.byName[name].base == "Resource" {
			plain = append(plain, name)
		}
	}
	line(&b, "R", strings.Join(plain, ","))
	anyTarget := slices.DeleteFunc(types.resourceTypes(), func(name string) bool { return name == "Parameters" })
	params = slices.Clone(params)
	slices.SortFunc(params, func(a, b entry) int { return cmp.Compare(a.resource.str("url"), b.resource.str("url")) })
	for _, e := range params {
		p := e.resource
		flags := ""
		if p.str("multipleOr") == "false" {
			flags += "o"
		}
		if p.str("multipleAnd") == "false" {
			flags += "a"
		}
		if p.str("experimental") == "true" {
			flags += "x"
		}
		target := p.strings("target")
		slices.Sort(target)
		if slices.Equal(target, anyTarget) {
			target = []string{"*"}
		}
		var components []string
		for _, c := range p.objects("component") {
			components = append(components, c.str("definition"), c.str("expression"))
		}
		line(&b, "S", p.str("url"), p.str("code"), p.str("type"),
			strings.Join(p.strings("base"), ","), p.str("expression"), strings.Join(target, ","), flags,
			strings.Join(p.strings("comparator"), ","), strings.Join(p.strings("modifier"), ","), strings.Join(p.strings("chain"), ","),
			strings.Join(components, "|||"), p.str("xpathUsage"), p.str("derivedFrom"),
			strings.Join(strings.Fields(p.str("description")), " "))
	}
	for _, e := range resources {
		c := e.resource
		if c.str("resourceType") != "CompartmentDefinition" {
			continue
		}
		var members []string
		for _, r := range c.objects("resource") {
			codes := slices.DeleteFunc(r.strings("param"), func(code string) bool { return code == "{def}" })
			if len(codes) > 0 {
				members = append(members, r.str("code")+"="+strings.Join(codes, ","))
			}
		}
		if len(members) == 0 {
			return nil, fmt.Errorf("the compartment %s is empty", c.str("code"))
		}
		line(&b, "C", c.str("code"), c.str("url"), strings.Join(members, "|"))
	}
	return b.Bytes(), nil
}
