// Lists with rows.

import Foundation

@MainActor public protocol UITableViewDataSource: NSObjectProtocol {
    func tableView(_ tableView: UITableView, numberOfRowsInSection section: Int) -> Int
    func tableView(_ tableView: UITableView, cellForRowAt indexPath: IndexPath) -> UITableViewCell
    func tableView(_ tableView: UITableView, commit editingStyle: UITableViewCell.EditingStyle, forRowAt indexPath: IndexPath)
}

@MainActor open class UITableView: UIView {
    open weak var dataSource: (any UITableViewDataSource)?

    public init(frame: CGRect, style: Style) {
        super.init(frame: frame)
    }

    public required init?(coder: NSCoder) {
        super.init(coder: coder)
    }

    open func register(_ cellClass: AnyClass?, forCellReuseIdentifier identifier: String) {}

    open func dequeueReusableCell(withIdentifier identifier: String, for indexPath: IndexPath) -> UITableViewCell {
        UITableViewCell()
    }

    open func reloadData() {}

    open func deleteRows(at indexPaths: [IndexPath], with animation: RowAnimation) {}

    public enum Style: Int, Sendable {
        case plain, grouped
    }

    public enum RowAnimation: Int, Sendable {
        case automatic = 100
    }
}

@MainActor open class UITableViewCell: UIView {
    open var contentConfiguration: (any UIContentConfiguration)?

    open func defaultContentConfiguration() -> UIListContentConfiguration { UIListContentConfiguration() }

    public enum EditingStyle: Int, Sendable {
        case none, delete, insert
    }
}

@MainActor public protocol UIContentConfiguration {}

public struct UIListContentConfiguration: UIContentConfiguration {
    public var text: String?
}

extension IndexPath {
    public init(row: Int, section: Int) {
        self.init(indexes: [section, row])
    }

    public var row: Int { self[1] }
}
