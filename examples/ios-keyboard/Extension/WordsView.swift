// What was learned, in the place of the keys: to be looked at, word by word removed, or wiped.

import KeyboardCore
import UIKit

final class WordsView: BaseView, UITableViewDataSource {
    private let book: WordBook
    private let table = UITableView(frame: .zero, style: .plain)
    private let wipe = UIButton(type: .system)
    private let empty = UILabel()
    private var words: [String] = []
    /// An extension can show no alert; the button asks by itself.
    private var isSure = false

    init(_ book: WordBook) {
        self.book = book
        super.init()
        table.register(UITableViewCell.self, forCellReuseIdentifier: "word")
        table.dataSource = self
        table.backgroundColor = .clear
        empty.textAlignment = .center
        empty.textColor = .secondaryLabel
        empty.numberOfLines = 0
        wipe.addAction(UIAction { [weak self] _ in self?.tappedWipe() }, for: .touchUpInside)
        wipe.tintColor = .systemRed
        addSubview(table)
        addSubview(empty)
        addSubview(wipe)
        reload()
    }

    override func layoutSubviews() {
        super.layoutSubviews()
        let (bottom, top) = bounds.divided(atDistance: 44, from: .maxYEdge)
        wipe.frame = bottom
        table.frame = top
        empty.frame = top.insetBy(dx: 24, dy: 0)
    }

    func tableView(_ tableView: UITableView, numberOfRowsInSection section: Int) -> Int {
        words.count
    }

    func tableView(_ tableView: UITableView, cellForRowAt indexPath: IndexPath) -> UITableViewCell {
        let cell = tableView.dequeueReusableCell(withIdentifier: "word", for: indexPath)
        var content = cell.defaultContentConfiguration()
        content.text = words[indexPath.row]
        cell.contentConfiguration = content
        cell.backgroundColor = .clear
        return cell
    }

    func tableView(_ tableView: UITableView, commit editingStyle: UITableViewCell.EditingStyle, forRowAt indexPath: IndexPath) {
        guard editingStyle == .delete else { return }
        let word = words.remove(at: indexPath.row)
        tableView.deleteRows(at: [indexPath], with: .automatic)
        Task {
            await book.forget(word)
            reload()
        }
    }

    private func tappedWipe() {
        guard isSure else {
            isSure = true
            return wipe.setTitle("Really forget all words?", for: .normal)
        }
        Task {
            await book.wipe()
            reload()
        }
    }

    private func reload() {
        isSure = false
        wipe.setTitle("Wipe all", for: .normal)
        Task {
            words = await book.list()
            table.reloadData()
            empty.text = book.isReadable ? "Nothing was learned yet." : "What was learned before cannot be read. Wipe it to begin anew."
            empty.isHidden = !words.isEmpty
            wipe.isHidden = words.isEmpty && book.isReadable
        }
    }
}
