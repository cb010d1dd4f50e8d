//! What a name stands for, and whether it is there.

use std::collections::BTreeMap;

use minijinja::machinery::{Span, ast};

use super::Typing;
use crate::chain::types::{Field, Type};

impl Typing<'_> {
    pub(super) fn name(&mut self, id: &str, span: Span, must_exist: bool) -> Type {
        if let Some(of) = self.local(id) {
            return of;
        }
        if let Some(field) = self.scope.names.get(id) {
            return self.unless_null(field, id, span, must_exist);
        }
        match id {
            "steps" => {
                self.problems.add(
                    self.at(span),
                    "`steps` cannot be read as a whole",
                    "name the step: steps.<id>",
                );
                Type::ANY
            }
            unknown => {
                let known: Vec<&str> = self
                    .locals
                    .iter()
                    .flat_map(BTreeMap::keys)
                    .chain(self.scope.names.keys())
                    .map(String::as_str)
                    .chain(["steps"])
                    .collect();
                self.problems
                    .add_unknown(self.at(span), format!("there is no `{unknown}`"), unknown, known);
                Type::ANY
            }
        }
    }

    pub(super) fn local(&self, id: &str) -> Option<Type> {
        self.locals.iter().rev().find_map(|bound| bound.get(id)).cloned()
    }

    pub(super) fn attribute(&mut self, attribute: &ast::GetAttr<'_>, whole: &ast::Expr<'_>, must_exist: bool) -> Type {
        if let ast::Expr::Var(var) = &attribute.expr
            && var.id == "steps"
            && self.local("steps").is_none()
        {
            return self.step(attribute, whole, must_exist);
        }
        // What may be null has no fields then, and a default can stand for them; what is absent fails.
        let owner = match path(&attribute.expr) {
            Some(path) if !must_exist && is_nullable(&path) => self.maybe_absent(&attribute.expr),
            _ => self.expression(&attribute.expr),
        };
        self.field(&owner, attribute.name, whole, must_exist)
    }

    fn step(&mut self, attribute: &ast::GetAttr<'_>, whole: &ast::Expr<'_>, must_exist: bool) -> Type {
        let steps = &self.scope.steps;
        let found = steps.get(attribute.name);
        if found.is_none() && !self.scope.open {
            let message = format!("there is no `steps.{}`", attribute.name);
            let known = steps.keys().map(String::as_str);
            self.problems
                .add_unknown(self.at(whole.span()), message, attribute.name, known);
        }
        let field = found.cloned().unwrap_or_else(|| Field::always(Type::ANY));
        self.unless_null(&field, &format!("steps.{}", attribute.name), whole.span(), must_exist)
    }

    /// The type of a step or name, where it is not null.
    fn unless_null(&mut self, field: &Field, path: &str, span: Span, must_exist: bool) -> Type {
        if field.optional && must_exist && !self.defined.iter().any(|defined| defined == path) {
            let why = if path.starts_with("steps.") {
                " where the step is skipped"
            } else {
                ""
            };
            let help = format!(
                "ask before: `{{% if {path} %}}…{{% endif %}}` or `… if {path} else …`; or give it a value for then: \
                 `{path}.field | default(…)`, or `else:` at the step"
            );
            self.problems.add(self.at(span), format!("`{path}` is null{why}"), help);
        }
        field.of.clone()
    }

    pub(super) fn item(&mut self, item: &ast::GetItem<'_>, whole: &ast::Expr<'_>) -> Type {
        let owner = self.expression(&item.expr);
        if let ast::Expr::Const(constant) = &item.subscript_expr
            && let Some(name) = constant.value.as_str()
        {
            return self.field(&owner, name, whole, true);
        }
        self.expression(&item.subscript_expr);
        match owner {
            Type::List(of) => *of,
            other => Type::Any {
                untrusted: other.is_untrusted(),
            },
        }
    }

    pub(super) fn field(&mut self, owner: &Type, name: &str, whole: &ast::Expr<'_>, must_exist: bool) -> Type {
        let path = path(whole).unwrap_or_else(|| name.to_owned());
        match owner {
            Type::Any { untrusted } => Type::Any { untrusted: *untrusted },
            Type::Object { fields, open } => match fields.get(name) {
                Some(Field { optional: true, .. }) if must_exist && !self.defined.contains(&path) => {
                    let help = format!(
                        "give it a value for then: `{path} | default(\"…\")`, ask before whether `{path} is defined`, or put it into `required`"
                    );
                    self.problems
                        .add(self.at(whole.span()), format!("`{path}` may be absent"), help);
                    Type::ANY
                }
                Some(field) => field.of.clone(),
                None if *open => Type::Any {
                    untrusted: owner.is_untrusted(),
                },
                None if path == format!("params.{name}") && fields.is_empty() => {
                    let help = format!(
                        "none is declared: add `params: {{{name}: {{type: …, default: …}}}}` to the chain, beside `input`"
                    );
                    self.problems
                        .add(self.at(whole.span()), format!("there is no `{path}`"), help);
                    Type::ANY
                }
                None => {
                    let known = fields.keys().map(String::as_str);
                    self.problems
                        .add_unknown(self.at(whole.span()), format!("there is no `{path}`"), name, known);
                    Type::ANY
                }
            },
            Type::Null | Type::Text { .. } | Type::Choice(_) | Type::Number | Type::Boolean | Type::List(_) => {
                let message = format!("there is no `{path}`: `.{name}` is asked of {}", owner.describe());
                self.problem(whole.span(), message);
                Type::ANY
            }
        }
    }

    /// A value that may be absent here, because what stands around it deals with that.
    pub(super) fn maybe_absent(&mut self, expression: &ast::Expr<'_>) -> Type {
        match expression {
            ast::Expr::GetAttr(attribute) => self.attribute(attribute, expression, false),
            ast::Expr::Var(var) => self.name(var.id, var.span(), false),
            other => self.expression(other),
        }
    }
}

/// Whether it is a step or a name, which may be null, and no field, which may be absent.
pub(super) fn is_nullable(path: &str) -> bool {
    let mut words = path.split('.');
    matches!(
        (words.next(), words.next(), words.next()),
        (Some("steps"), Some(_), None) | (Some(_), None, None)
    )
}

/// `a.b.c` as it is written, if the expression is one.
pub(super) fn path(expression: &ast::Expr<'_>) -> Option<String> {
    match expression {
        ast::Expr::Var(var) => Some(var.id.to_owned()),
        ast::Expr::GetAttr(attribute) => Some(format!("{}.{}", path(&attribute.expr)?, attribute.name)),
        _ => None,
    }
}
