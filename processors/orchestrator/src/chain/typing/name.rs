//! What a name stands for, and whether it is there.

use std::collections::BTreeMap;

use minijinja::machinery::{Span, ast};

use super::{ROOTS, Typing};
use crate::chain::types::{Field, Type};

impl Typing<'_> {
    pub(super) fn name(&mut self, id: &str, span: Span) -> Type {
        if let Some(of) = self.local(id) {
            return of;
        }
        match id {
            "input" => self.scope.input.clone(),
            "params" => self.scope.params.clone(),
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
                    .map(String::as_str)
                    .chain(ROOTS)
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
            return self.step(attribute, whole);
        }
        let owner = self.expression(&attribute.expr);
        self.field(&owner, attribute.name, whole, must_exist)
    }

    fn step(&mut self, attribute: &ast::GetAttr<'_>, whole: &ast::Expr<'_>) -> Type {
        let steps = &self.scope.steps;
        let found = steps.get(attribute.name);
        if found.is_none() && !self.scope.open {
            let message = format!("there is no `steps.{}`", attribute.name);
            let known = steps.keys().map(String::as_str);
            self.problems
                .add_unknown(self.at(whole.span()), message, attribute.name, known);
        }
        found.cloned().unwrap_or(Type::ANY)
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
                    let help =
                        format!("give it a value for then: `{path} | default(\"…\")`, or put it into `required`");
                    self.problems
                        .add(self.at(whole.span()), format!("`{path}` may be absent"), help);
                    Type::ANY
                }
                Some(field) => field.of.clone(),
                None if *open => Type::Any {
                    untrusted: owner.is_untrusted(),
                },
                None => {
                    let known = fields.keys().map(String::as_str);
                    self.problems
                        .add_unknown(self.at(whole.span()), format!("there is no `{path}`"), name, known);
                    Type::ANY
                }
            },
            Type::Null | Type::Text { .. } | Type::Number | Type::Boolean | Type::List(_) => {
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
            other => self.expression(other),
        }
    }
}

/// `a.b.c` as it is written, if the expression is one.
pub(super) fn path(expression: &ast::Expr<'_>) -> Option<String> {
    match expression {
        ast::Expr::Var(var) => Some(var.id.to_owned()),
        ast::Expr::GetAttr(attribute) => Some(format!("{}.{}", path(&attribute.expr)?, attribute.name)),
        _ => None,
    }
}
