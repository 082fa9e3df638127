DROP TABLE closure_coding, closure_table, concept_property, concept_edge, concept, code_system;
