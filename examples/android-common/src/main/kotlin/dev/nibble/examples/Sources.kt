package dev.nibble.examples

import android.content.Context
import android.net.Uri
import android.provider.OpenableColumns
import java.io.FileNotFoundException
import java.io.IOException

/** The file behind what the user picked. Its provider is another app, which may take its time, and throw what it likes. */
fun Context.source(picked: Uri) = ModelSource({ size(picked) }) {
    try {
        contentResolver.openInputStream(picked) ?: throw FileNotFoundException("the provider has no such file")
    } catch (refused: RuntimeException) {
        throw IOException("the provider does not hand out the file", refused)
    }
}

private fun Context.size(picked: Uri): Long = try {
    contentResolver.query(picked, arrayOf(OpenableColumns.SIZE), null, null, null)?.use { row ->
        if (row.moveToFirst()) row.getLong(0) else null
    } ?: 0
} catch (_: RuntimeException) {
    // The file may be readable all the same.
    0
}

/** The model that came with the app, if one did: as an asset, uncompressed. */
fun Context.asset(name: String): ModelSource? = try {
    val size = assets.openFd(name).use { it.length }
    ModelSource({ size }) { assets.open(name) }
} catch (_: IOException) {
    null
}
