package dev.nibble.examples

import android.content.Context
import android.net.Uri
import android.provider.OpenableColumns
import java.io.FileNotFoundException
import java.io.IOException

/** The file behind what the user picked. */
fun Context.source(picked: Uri): ModelSource {
    val size = contentResolver.query(picked, arrayOf(OpenableColumns.SIZE), null, null, null)?.use { row ->
        if (row.moveToFirst() && !row.isNull(0)) row.getLong(0) else null
    }
    return ModelSource(size ?: 0) { contentResolver.openInputStream(picked) ?: throw FileNotFoundException("the provider has no such file") }
}

/** The model that came with the app, if one did: as an asset, uncompressed. */
fun Context.asset(name: String): ModelSource? = try {
    ModelSource(assets.openFd(name).use { it.length }) { assets.open(name) }
} catch (_: IOException) {
    null
}
