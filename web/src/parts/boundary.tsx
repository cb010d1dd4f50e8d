// What a mistake of the page takes with it: the part that made it, never the whole page.

import { Component, type ReactNode } from "react";
import { Broken } from "./empty.tsx";

type Props = {
  /** Where one is: elsewhere the mistake is over. */
  at: string;
  /** Stands in for what broke; else the mistake itself. */
  instead?: ReactNode;
  children: ReactNode;
};

type State = { error: Error | undefined; at: string };

export class Boundary extends Component<Props, State> {
  override state: State = { error: undefined, at: this.props.at };

  static getDerivedStateFromError(error: unknown): Partial<State> {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  static getDerivedStateFromProps({ at }: Props, state: State): Partial<State> | null {
    return at === state.at ? null : { at, error: undefined };
  }

  override render() {
    const { error } = this.state;
    if (!error) return this.props.children;
    if (this.props.instead !== undefined) return this.props.instead;
    return (
      <div className="page">
        <h1>This cannot be shown</h1>
        <Broken error={error} retry={() => this.setState({ error: undefined })} />
        <p className="note">
          The other pages work. If it stays, <button onClick={() => location.reload()}>load the page anew</button>
        </p>
      </div>
    );
  }
}
