//! Filters, tests and functions: those of MiniJinja, with what is known of their results.

use minijinja::machinery::ast;

use super::Typing;
use crate::chain::{template, types::Type};

impl Typing<'_> {
    pub(super) fn filter(&mut self, filter: &ast::Filter<'_>, block: Option<Type>) -> Type {
        if !template::has_filter(filter.name) {
            self.problem_at_name(filter.name, "there is no filter");
        }
        let defaults = matches!(filter.name, "default" | "d");
        let value = match (block, &filter.expr) {
            (Some(block), _) => block,
            (None, Some(value)) if defaults => self.maybe_absent(value),
            (None, Some(value)) => self.expression(value),
            (None, None) => Type::ANY,
        };
        let arguments = self.arguments(&filter.args);
        let untrusted = value.is_untrusted() || arguments.as_ref().is_some_and(Type::is_untrusted);
        match filter.name {
            "default" | "d" => arguments.map_or(value.clone(), |instead| value.or(&instead)),
            "length" | "count" | "int" | "float" | "round" | "abs" => Type::Number,
            "bool" => Type::Boolean,
            "upper" | "lower" | "title" | "capitalize" | "trim" | "replace" | "join" | "string" | "tojson"
            | "indent" | "escape" | "e" | "safe" | "format" | "pprint" => Type::Text { untrusted },
            "first" | "last" | "min" | "max" => match value {
                Type::List(of) => *of,
                _ => Type::Any { untrusted },
            },
            "sort" | "reverse" | "unique" | "list" if matches!(value, Type::List(_)) => value,
            "split" | "lines" => Type::list(Type::Text { untrusted }),
            _ => Type::Any { untrusted },
        }
    }

    /// A filter that is written apart from what it filters.
    pub(super) fn filtered(&mut self, filter: &ast::Expr<'_>, value: Type) -> Type {
        match filter {
            ast::Expr::Filter(filter) => match &filter.expr {
                Some(inner) => {
                    let value = self.filtered(inner, value);
                    self.filter(filter, Some(value))
                }
                None => self.filter(filter, Some(value)),
            },
            _ => value,
        }
    }

    pub(super) fn test(&mut self, test: &ast::Test<'_>) {
        if !template::has_test(test.name) {
            self.problem_at_name(test.name, "there is no test");
        }
        match test.name {
            "defined" | "undefined" | "none" => self.maybe_absent(&test.expr),
            _ => self.expression(&test.expr),
        };
        self.arguments(&test.args);
    }

    pub(super) fn call(&mut self, call: &ast::Call<'_>) -> Type {
        let arguments = self.arguments(&call.args);
        let untrusted = arguments.is_some_and(|of| of.is_untrusted());
        match &call.expr {
            ast::Expr::Var(var) => {
                let functions = template::functions();
                if !functions.iter().any(|name| name == var.id) {
                    let message = format!("there is no function `{}`", var.id);
                    let known = functions.iter().map(String::as_str);
                    self.problems.add_unknown(self.at(var.span()), message, var.id, known);
                }
                match var.id {
                    "range" => Type::list(Type::Number),
                    _ => Type::Any { untrusted },
                }
            }
            ast::Expr::GetAttr(attribute) if matches!(&attribute.expr, ast::Expr::Var(var) if var.id == "loop") => {
                Type::Any { untrusted }
            }
            other => {
                let help = "values have no methods: use a filter, as in `{{ input.name | upper }}`";
                self.problems.add(self.at(other.span()), "this cannot be called", help);
                Type::ANY
            }
        }
    }

    /// The type of all arguments together; `None` without any.
    pub(super) fn arguments(&mut self, arguments: &[ast::CallArg<'_>]) -> Option<Type> {
        let each = arguments.iter().map(|argument| match argument {
            ast::CallArg::Pos(value)
            | ast::CallArg::Kwarg(_, value)
            | ast::CallArg::PosSplat(value)
            | ast::CallArg::KwargSplat(value) => self.expression(value),
        });
        each.reduce(|one, other| one.or(&other))
    }
}
