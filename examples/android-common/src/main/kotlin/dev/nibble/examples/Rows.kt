package dev.nibble.examples

import android.view.LayoutInflater
import android.view.View
import android.view.ViewGroup
import android.widget.BaseAdapter

/** The rows of a list: [bind] fills one, and [kind] says which of the [layouts] it has. */
class Rows<T : Any>(
    private val inflater: LayoutInflater,
    private val layouts: List<Int>,
    private val bind: (View, T) -> Unit,
    private val kind: (T) -> Int = { 0 },
) : BaseAdapter() {
    private var items: List<T> = emptyList()

    fun show(items: List<T>) {
        if (items == this.items) return
        this.items = items
        notifyDataSetChanged()
    }

    override fun getCount() = items.size

    override fun getItem(position: Int) = items[position]

    override fun getItemId(position: Int) = position.toLong()

    override fun getViewTypeCount() = layouts.size

    override fun getItemViewType(position: Int) = kind(items[position])

    override fun getView(position: Int, reused: View?, parent: ViewGroup): View {
        val row = reused ?: inflater.inflate(layouts[getItemViewType(position)], parent, false)
        bind(row, items[position])
        return row
    }
}
